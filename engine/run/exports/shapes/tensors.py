"""The answer to what goes on inside one layer: what it reads, its weights, its feature maps."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

from engine.run.exports.shapes.kinds import Count, Found, Maybe

KINDS = ("test", "calibration", "noise")  # of images
PARTS, MOST_TONES = 3, 2**22  # of a map: float, student, difference; of all maps together
PAIRS = {"low": float, "high": float, "counts": [[Count()]]}
REACH = {"low": [float], "high": [float]}
EACH = REACH | {"grid_low": [float], "grid_high": [float], "sqnr_db": [float]}
TENSORS = {
    "run": str, "layer": str, "images": Count(), "image_set": str, "notes": [str], "sentence": str,
    "sentences": {"input": str, "maps?": str, "weights?": str, "pairs": str},
    "input": {
        "bits": Maybe(Count()), "low": float, "high": float, "levels": Maybe([float]), "pairs": Maybe(PAIRS),
        "sources": [{
            "name": str, "title": str, "shares": [float], "clipped": float, "sqnr_db": float,
            "channels": REACH,
        }],
    },
    "weights": Maybe({
        "bits": Count(), "channels": EACH, "pairs": PAIRS,
        "one_by_one": [{
            "channel": Count(), "levels": [float], "low": float, "high": float, "values": [float],
            "used": Count(),
        }],
    }),
    "output": {
        "sqnr_db": float, "pairs": PAIRS, "channels": Count(), "worst_channel_share": float,
        "shift_share": float, "is_shift": bool,
    },
    "maps": Maybe({
        "images": [Count()], "errors": [float], "usual_error": float, "pictures": [str],
        "channels": [Count()], "low": [float], "high": [float], "largest_difference": [float],
        "shape": [Count()], "averaged_from": Maybe([Count()]), "data": str,
    }),
}  # fmt: skip


def tensors_fit(found: Found, layers: Sequence[str]) -> bool:
    """Whether the layer is the run's, and each view can be drawn of what is there."""
    weights, maps = found["weights"], found["maps"]
    return (
        found["layer"] in layers
        and _input_fits(found["input"])
        and (weights is None or _weights_fit(weights))
        and (maps is None or _maps_fit(maps))
        and all(map(_is_square, _pairs(found)))
    )


def pictures_of(found: Found) -> Sequence[str]:
    """The images that feature maps are of."""
    maps = found["maps"]
    return [] if maps is None else list(maps["pictures"])


def _pairs(found: Found) -> Iterator[list[list[int]]]:
    for name in ("input", "weights", "output"):
        if found[name] and found[name]["pairs"]:
            yield found[name]["pairs"]["counts"]


def _is_square(counts: list[list[int]]) -> bool:
    return bool(counts) and all(len(row) == len(counts) for row in counts)


def _are_alike(*several: Sequence[Any]) -> bool:
    """Whether they are of one length, and not empty."""
    return bool(several[0]) and len({*map(len, several)}) == 1


def _input_fits(given: Mapping[str, Any]) -> bool:
    sources = given["sources"]
    names = [one["name"] for one in sources]
    return (
        bool(sources)
        and names == [kind for kind in KINDS if kind in names]
        and all(one["shares"] for one in sources)
        and all(_are_alike(*one["channels"].values()) for one in sources)
        and given["levels"] != []
    )


def _weights_fit(weights: Mapping[str, Any]) -> bool:
    each = weights["one_by_one"]
    return (
        bool(each)
        and _are_alike(*weights["channels"].values())
        and all(one["levels"] and one["values"] for one in each)
        and all(one["low"] < one["high"] for one in each)
        and all(one["low"] <= value <= one["high"] for one in each for value in one["values"])
    )


def _maps_fit(maps: Mapping[str, Any]) -> bool:
    shape, images, channels = maps["shape"], maps["images"], maps["channels"]
    size = maps["averaged_from"]
    return (
        len(shape) == 5
        and shape[:3] == [len(images), len(channels), PARTS]
        and _are_alike(images, maps["errors"], maps["pictures"])
        and _are_alike(channels, maps["low"], maps["high"], maps["largest_difference"])
        and 0 < prod(shape) <= MOST_TONES
        and (size is None or len(size) == 2)
        and _bytes(maps["data"]) == prod(shape)
    )


def _bytes(data: str) -> int:
    """How many bytes the text stands for; -1 where it is none that stands for any."""
    try:
        return len(base64.b64decode(data, validate=True))
    except ValueError:
        return -1
