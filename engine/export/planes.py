"""A file of bit planes: whoever reads its first b planes has the network's weights at b bits.

A line of JSON names every layer and its shape. Then the clips of all channels, then the layers that are kept
whole (their factors of 8 bits, and their codes), then plane after plane of the others (the most significant
bit first): the factors of that width, and one bit of each code, eight to a byte.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from engine.export.network import NestedCodes

PLANES = 8
_MOST_HEADER = 2**24  # bytes: a longer first line is no file of ours
_MOST_CODES = 2**32  # of one layer

Array = np.ndarray[Any, Any]


class Prefix(NamedTuple):
    """What the first b planes give: codes of b bits, values in the weight's shape, and the bytes read."""

    codes: dict[str, Array]
    values: dict[str, Array]
    bytes_read: int


def write_planes(file: Path, layers: Mapping[str, NestedCodes]) -> int:
    """Write the file; how many bytes it has."""
    listed = [
        {"path": path, "shape": list(one.codes.shape), "whole": one.whole}
        for path, one in layers.items()
    ]
    parts = [json.dumps({"layers": listed}).encode() + b"\n"]
    parts += [one.clips.astype("<f4").tobytes() for one in layers.values()]
    for one in (one for one in layers.values() if one.whole):
        parts += [one.factors[:, -1].astype("<f4").tobytes(), one.codes.tobytes()]
    for plane in range(PLANES):
        for one in (one for one in layers.values() if not one.whole):
            bits = (one.codes.reshape(-1) >> (PLANES - 1 - plane)) & 1
            parts += [one.factors[:, plane].astype("<f4").tobytes(), np.packbits(bits).tobytes()]
    content = b"".join(parts)
    file.write_bytes(content)
    return len(content)


def read_planes(file: Path, bits: int) -> Prefix:
    """The weights at `bits` bits, 1 to 8, from the beginning of the file; nothing behind is read.

    Raises ValueError where the file is none of these, or ends too early.
    """
    if not 1 <= bits <= PLANES:
        raise ValueError(f"{bits} planes were asked for; there are 1 to {PLANES}")
    with file.open("rb", buffering=0) as stream:
        line = stream.readline(_MOST_HEADER)
        listed = _listed(file, line)
        read = len(line)

        def take(count: int, kind: str) -> Array:
            nonlocal read
            content = stream.read(count)
            if len(content) < count:
                raise ValueError(f"{file} ends too early")
            read += count
            return np.frombuffer(content, kind)

        shapes = {one.path: one.shape for one in listed}
        clips = {path: take(4 * shape[0], "<f4") for path, shape in shapes.items()}
        codes: dict[str, Array] = {}
        factors: dict[str, Array] = {}
        width = {one.path: PLANES if one.whole else bits for one in listed}
        for path, shape, _ in (one for one in listed if one.whole):
            factors[path], codes[path] = take(4 * shape[0], "<f4"), take(int(np.prod(shape)), "u1")
        cut = [one for one in listed if not one.whole]
        for plane in range(bits):
            for path, shape, _ in cut:
                factors[path] = take(4 * shape[0], "<f4")
                size = int(np.prod(shape))
                one = np.unpackbits(take(-(-size // 8), "u1"), count=size)
                codes[path] = (codes[path] << 1) | one if plane else one
    shaped = {path: codes[path].reshape(shape) for path, shape in shapes.items()}
    values = {p: _values(code, clips[p], factors[p], width[p]) for p, code in shaped.items()}
    return Prefix(shaped, values, read)


class _Listed(NamedTuple):
    path: str
    shape: tuple[int, ...]
    whole: bool


def _listed(file: Path, line: bytes) -> list[_Listed]:
    try:
        found = [
            _Listed(str(one["path"]), tuple(map(int, one["shape"])), bool(one["whole"]))
            for one in json.loads(line)["layers"]
        ]
    except (ValueError, LookupError, TypeError) as error:
        raise ValueError(f"{file} is no file of bit planes ({error})") from error
    if any(not s or min(s) < 1 or np.prod(s) > _MOST_CODES for s in (one.shape for one in found)):
        raise ValueError(f"{file} has a layer of no sensible shape")
    return found


def _values(codes: Array, clips: Array, factors: Array, bits: int) -> Array:
    """((code + ½) / 2^(b − 1) − 1) · (factor · clip), in this order: the run's to the last bit."""
    axes = (-1, *(1,) * (codes.ndim - 1))
    middle = (codes.astype(np.float32) + np.float32(0.5)) / np.float32(
        2 ** (bits - 1)
    ) - np.float32(1)
    values: Array = middle * (factors * clips).reshape(axes)
    return values
