"""The settings of a network's card as plain data, for forms and `--set model.…`. Imports no torch."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from engine.core.errors import UserError

INTERPOLATIONS = ("bicubic", "bilinear")
LEAST_STD = 1e-6  # 16-bit pixels that were never scaled have 1.5e-5
MOST_PIXEL = 10.0  # of mean and std of pixels in [0, 1], with room for odd units
MOST_SIDE = 4096
MOST_CHANNELS, MOST_SHAPE_SIDE = 4096, 16384  # of the images that a network says it takes
MOST_VALUES = 3 * MOST_SIDE**2  # of one of them: 200 MB of floats
TINY_VARIANCE = 1e-4  # of the median channel's (our own line; trained networks here stay far above)
VARIANCES = "variances"
STORED, MENDED = "stored", "mended"
SHAPE = "image_shape"
_MOST_SHOWN = 80  # characters of a value in a message
_PRESETS = ("paper", "standard", "quick")


def check_input_space(
    mean: Sequence[float], std: Sequence[float], resize: float, channels: int | None = None,
    *, of: str = "",
) -> None:  # fmt: skip
    """UserError where images cannot be brought to such an input space.

    Mean and std are of pixels in [0, 1], a value for each of `channels` (None: not known); empty ones and
    a `resize` of 0 are still to be filled in by a card. `of` stands before the name of a setting.
    """
    for name, values, low in (("mean", mean, -MOST_PIXEL), ("std", std, LEAST_STD)):
        said = f"{of}{name} is {', '.join(f'{value:g}' for value in values)}"
        if channels is not None and values and len(values) != channels:
            raise UserError(
                f"{of}{name} has {len(values)} values; give one for each of {channels} colour channels"
            )
        if name == "std" and any(value <= 0 for value in values):
            raise UserError(f"{said}, which must be above 0; give values above 0")
        if not all(low <= value <= MOST_PIXEL for value in values):  # not a number fails too
            raise UserError(
                f"{said}; give numbers from {low:g} to {MOST_PIXEL:g}: of pixels in [0, 1], so those "
                "of pixels up to 255 are divided by 255"
            )
    if not 0 <= resize <= MOST_SIDE:
        raise UserError(f"{of}resize is {resize}; give the short side in pixels, up to {MOST_SIDE}")


def check_shape(values: Any, label: str) -> tuple[int, int, int]:
    """Channels, height and width as whole numbers; UserError saying what is wrong with them.

    values: a list, or text with commas. Not rounded: 32.5 is no side, and 32 is not what was asked for.
    """
    parts = values.split(",") if isinstance(values, str) else values
    parts = list(parts) if isinstance(parts, Sequence) else [parts]
    said = ",".join(_text(part) for part in parts[:_MOST_SHOWN])[: 2 * _MOST_SHOWN]
    wish = "give channels,height,width in whole numbers of at least 1, such as 3,32,32"
    if not said.strip():
        raise UserError(f"{label} is empty; {wish}")
    numbers = [_number(part) for part in parts]
    for part, number in zip(parts, numbers, strict=True):
        shown = _text(part) or "nothing"
        if number is None or number != int(number):
            raise UserError(f"{label} is {said}, and {shown} is no whole number; {wish}")
        if number < 1:
            raise UserError(f"{label} is {said}, and {shown} is below 1; {wish}")
    if len(numbers) != 3:
        raise UserError(f"{label} is {said}, not three numbers; {wish}")
    channels, height, width = (int(number or 0) for number in numbers)
    if channels > MOST_CHANNELS or max(height, width) > MOST_SHAPE_SIDE:
        raise UserError(
            f"{label} is {said}; give at most {MOST_CHANNELS} channels, and sides of at most "
            f"{MOST_SHAPE_SIDE} pixels, such as 3,224,224"
        )
    if channels * height * width > MOST_VALUES:
        raise UserError(
            f"{label} is {said}, {channels * height * width:,} values an image, and the most is "
            f"{MOST_VALUES:,}; give smaller sides, such as 3,224,224"
        )
    return channels, height, width


def _text(part: Any) -> str:
    try:
        return str(part).strip()[:_MOST_SHOWN]
    except ValueError:  # Python does not write out whole numbers of thousands of digits
        return "a very large number"


def _number(part: Any) -> float | None:
    """What the part says; None for what is no finite number."""
    try:
        number = float(part)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if isfinite(number) else None


def card_knobs(
    *, mean: Sequence[float], std: Sequence[float], resize: int, low: int
) -> list[dict[str, Any]]:
    """What can be set of every network; `low` is the least that images may be resized to."""
    per_channel = "per colour channel, of pixels in [0, 1], that the network was trained with"
    return [
        _knob("mean", "list", list(mean), "Pixel mean", f"mean {per_channel}"),
        _knob("std", "list", list(std), "Pixel standard deviation", f"std {per_channel}"),
        _knob(
            "resize", "int", resize, "Resize to",
            "larger images are resized so that their short side has so many pixels, then cropped",
            low=low, high=MOST_SIDE,
        ),
        _knob(
            "calibration", "str", "", "Folder of real images",
            "what the control `real` calibrates with, where the network brings none",
        ),
        _knob(
            VARIANCES, "str", STORED, "BatchNorm variances",
            "mended: a channel that stored next to no variance beside the others of its layer, as after a "
            "broken export, gets their median",
            choices=(STORED, MENDED),
        ),
    ]  # fmt: skip


def own_knobs() -> list[dict[str, Any]]:
    """What can be set of a network from the user's own file: also the shape of its images, what it gives."""
    shape = _knob(
        SHAPE, "list", [], "Shape of an image",
        "channels, height, width; where it is not given: of the images to judge with, or what the checkpoint "
        "or the network itself tells; else it is asked for",
    )  # fmt: skip
    resample = _knob(
        "interpolation", "str", "bicubic", "Resize by", "how larger images are resized",
        choices=INTERPOLATIONS,
    )  # fmt: skip
    output = _knob(
        "output", "str", "auto", "What it gives",
        "auto: found by running it; else logits, one-logit, segmentation, image or embedding; of several "
        "values the name of one (out), or NAME:KIND (features:embedding)",
    )  # fmt: skip
    return [shape, *card_knobs(mean=[], std=[], resize=0, low=0), resample, output]


def unlisted_knobs() -> list[dict[str, Any]]:
    """What can be set of a network that no menu lists, `timm/NAME`: what is not given is its card's own."""
    return [*card_knobs(mean=[], std=[], resize=0, low=0), download_knob()]


def download_knob() -> dict[str, Any]:
    """Whether weights may be fetched, for networks whose files lie on their makers' server."""
    return _knob(
        "download", "bool", False, "Download the weights",
        "fetch the weights from their makers where they are not on this machine",
    )  # fmt: skip


_FORMS = "the same function, written with other layers: they lose their bits differently"


def form_knob(forms: Sequence[str], notes: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Which of a network's forms is quantized, where it has several that compute the same."""
    return _knob(
        "form", "str", forms[0], "Form of the network",
        "; ".join([_FORMS, *(f"{name}: {note}" for name, note in (notes or {}).items())]),
        choices=forms,
    )  # fmt: skip


def _knob(
    name: str, kind: str, default: Any, label: str, help_text: str,
    low: int | None = None, high: int | None = None, choices: Sequence[str] = (),
) -> dict[str, Any]:  # fmt: skip
    return {
        "name": name,
        "type": kind,
        "default": default,
        "label": label,
        "help": help_text,
        "low": low,
        "high": high,
        "choices": list(choices),
        "presets": dict.fromkeys(_PRESETS, default),
    }
