"""Images of a run that its quantizer does not see, by their places: what is left out stays made.

So a run without the images that spoil a range takes all its images from the run before it. Imports no torch.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.core.errors import UserError
from engine.run.recipes.settings import as_text, whole_number

SETTING = "leave_out"  # of the quantization settings of any quantizer
LEAST = 2  # images that must stay
_LABEL = f"quantization.{SETTING}"


def left_out(value: Any, images: int) -> list[int]:
    """The places that the setting names, rising, each once; [] where it names none.

    value: a list of places, or text such as 3,17. UserError for what is no place of one of so many images,
    and where next to none would stay.
    """
    if value is None or value in ("", [], ()):
        return []
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, Sequence):
        raise UserError(f"{_LABEL} is {as_text(value)}; give places of images, such as 3,17")
    places = sorted({whole_number(one, (0, images - 1), _LABEL) for one in parts})
    if images - len(places) < LEAST:
        raise UserError(
            f"{_LABEL} names {len(places)} of {images} images; choose fewer, so that {LEAST} are left"
        )
    return places


def kept_indices(settings: Mapping[str, Any], images: int) -> list[int]:
    """The places of the images that a recipe with these quantization settings is calibrated on."""
    out = set(settings.get(SETTING) or ())
    return [place for place in range(images) if place not in out]
