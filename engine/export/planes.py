"""A file of bit planes: whoever reads its first b planes has the network's weights at b bits.

A line of JSON names every layer and its shape. Then the clips of all channels, then plane after plane (the
most significant bit first): the factors of that width, and one bit of each code, eight to a byte.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

PLANES = 8
_MOST_HEADER = 2**24  # bytes: a longer first line is no file of ours
_MOST_CODES = 2**32  # of one layer

Array = np.ndarray[Any, Any]


class Layer(NamedTuple):
    """uint8 codes of 8 bits in the weight's shape, float32 clips [channels] and factors [channels, 8]."""

    codes: Array
    clips: Array
    factors: Array


class Prefix(NamedTuple):
    """What the first b planes give: codes of b bits, values in the weight's shape, and the bytes read."""

    codes: dict[str, Array]
    values: dict[str, Array]
    bytes_read: int


def write_planes(file: Path, layers: Mapping[str, Layer]) -> int:
    """Write the file; how many bytes it has."""
    listed = [{"path": path, "shape": list(one.codes.shape)} for path, one in layers.items()]
    parts = [json.dumps({"layers": listed}).encode() + b"\n"]
    parts += [one.clips.astype("<f4").tobytes() for one in layers.values()]
    for plane in range(PLANES):
        for one in layers.values():
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

        clips = {path: take(4 * shape[0], "<f4") for path, shape in listed}
        codes: dict[str, Array] = {
            path: np.zeros(int(np.prod(shape)), np.uint8) for path, shape in listed
        }
        factors: dict[str, Array] = {}
        for _ in range(bits):
            for path, shape in listed:
                factors[path] = take(4 * shape[0], "<f4")
                size = len(codes[path])
                plane = np.unpackbits(take(-(-size // 8), "u1"), count=size)
                codes[path] = (codes[path] << 1) | plane
    shaped = {path: codes[path].reshape(shape) for path, shape in listed}
    values = {p: _values(code, clips[p], factors[p], bits) for p, code in shaped.items()}
    return Prefix(shaped, values, read)


def _listed(file: Path, line: bytes) -> list[tuple[str, tuple[int, ...]]]:
    try:
        found = [
            (str(one["path"]), tuple(map(int, one["shape"]))) for one in json.loads(line)["layers"]
        ]
    except (ValueError, LookupError, TypeError) as error:
        raise ValueError(f"{file} is no file of bit planes ({error})") from error
    if any(not shape or min(shape) < 1 or np.prod(shape) > _MOST_CODES for _, shape in found):
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
