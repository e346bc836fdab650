"""What was measured for the start page, as pages read it. Imports no torch.

`bits_slider.py` and `film_answers.py` beside this file measure it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.core.percent import percent

SLIDER, FILM = "bits-slider.json", "film-answers.json"  # each with a picture beside it, .webp
# The networks of the slider, and what their calibration images are from.
NETWORKS = {
    "resnet20-fashion": "genie",
    "mobilenet-fashion": "genie",
}
ROUNDINGS = {"nearest": "nearest", "learned": "quantoscope"}  # by the word on the page
BITS = (2, 3, 4, 5, 6, 8)
ACTIVATION_BITS = 4
WALL_IMAGES, WALL_COLUMNS = 200, 25


def rows_of(result: Mapping[str, Any]) -> list[list[str]]:
    """The slider's table for a person: a heading, and a row for each network and kind of rounding."""
    head = ["network", "rounding", *(f"{bits} bits" for bits in BITS)]
    return [head] + [
        [network["title"], rounding, *(percent(one["top1"], 2) for one in stops)]
        for network in result["networks"]
        for rounding, stops in network["roundings"].items()
    ]


def read(folder: Path, name: str) -> tuple[dict[str, Any], bytes] | None:
    """A measurement and its picture (WebP); None where either is missing or is none."""
    file = folder / name
    try:
        found = json.loads(file.read_text())
        picture = file.with_suffix(".webp").read_bytes()
    except (OSError, ValueError):
        return None
    return (found, picture) if isinstance(found, dict) else None
