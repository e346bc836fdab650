"""Images and labels in the IDX format of MNIST and Fashion-MNIST (big-endian header; mostly gzipped)."""

import gzip
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_UNSIGNED_BYTE = 0x08
MOST_BYTES = 2**30


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The array in an IDX file of unsigned bytes (packed or not), in the shape its header states."""
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
    with gzip.open(path) if packed else path.open("rb") as file:
        head = file.read(4)
        if len(head) < 4 or head[:2] != b"\0\0" or head[2] != _UNSIGNED_BYTE:
            raise ValueError(f"{path} is not an IDX file of unsigned bytes")
        sides = file.read(4 * head[3])
        if len(sides) < 4 * head[3]:
            raise ValueError(f"{path} ends within its header")
        shape = tuple(int(side) for side in np.frombuffer(sides, ">u4"))
        size = math.prod(shape)
        if size > MOST_BYTES:
            raise ValueError(
                f"{path} says that it holds {shape}; the limit is {MOST_BYTES:,} bytes"
            )
        data = file.read(size + 1)  # one more than there should be, and never all that is packed
    if len(data) != size:
        raise ValueError(f"{path} does not hold as many bytes as its header says: {shape}")
    return np.frombuffer(data, np.uint8).reshape(shape)


def write_idx(path: Path, values: NDArray[np.uint8]) -> None:
    """Write unsigned bytes as IDX; the same array gives the same file, byte for byte."""
    header = bytes([0, 0, _UNSIGNED_BYTE, values.ndim]) + np.asarray(values.shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(header + np.ascontiguousarray(values).tobytes(), mtime=0))
