"""What a run's folder tells of the network that it ended with, before that is loaded."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_MOST_HEADER = 64 * 2**20  # bytes; a file that claims more is not read
_EVEN = ("codes", "scale", "zero_point")  # what is kept of weights on an even grid


def even_weights(folder: Path, layers: list[Mapping[str, Any]]) -> dict[str, int] | None:
    """How many weights each layer has, by its path; None where one of them is not kept on an even grid."""
    kept: dict[str, Any] = {}
    for file in sorted((folder / "blocks").glob("*.safetensors")):
        kept |= _header(file)
    counts = {}
    for layer in layers:
        path = layer["path"]
        if not all(f"{path}.weight.{part}" in kept for part in _EVEN):
            return None
        counts[path] = _product(kept[f"{path}.weight.codes"]["shape"])
    return counts


def _header(file: Path) -> dict[str, Any]:
    """Names and shapes of a safetensors file; nothing of one that is torn."""
    try:
        with file.open("rb") as data:
            length = int.from_bytes(data.read(8), "little")
            found = json.loads(data.read(length)) if length <= _MOST_HEADER else {}
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _product(shape: list[int]) -> int:
    count = 1
    for side in shape:
        count *= side
    return count
