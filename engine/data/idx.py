"""Images and labels in the IDX format of MNIST and Fashion-MNIST (gzip, big-endian header)."""

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_UNSIGNED_BYTE = 0x08


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The array in an IDX file of unsigned bytes, in the shape its header states."""
    data = gzip.decompress(path.read_bytes())
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] != _UNSIGNED_BYTE:
        raise ValueError(f"{path} is not an IDX file of unsigned bytes")
    dimensions = data[3]
    shape = np.frombuffer(data, ">u4", dimensions, offset=4)
    values = np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions)
    if values.size != int(np.prod(shape)):
        raise ValueError(f"{path} holds {values.size} bytes; its header says {tuple(shape)}")
    return values.reshape(shape)


def write_idx(path: Path, values: NDArray[np.uint8]) -> None:
    """Write unsigned bytes as IDX; the same array gives the same file, byte for byte."""
    header = bytes([0, 0, _UNSIGNED_BYTE, values.ndim]) + np.asarray(values.shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(header + np.ascontiguousarray(values).tobytes(), mtime=0))
