"""Codes of few bits, packed into bytes without gaps, and unpacked."""

import numpy as np
from numpy.typing import NDArray


def pack(codes: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """Bytes that hold the codes in order, each in `bits` bits, lowest bit first; the last byte ends in zeros.

    For 4 and 2 bits that is also how ONNX packs its small integers: the first code in the lowest bits.
    """
    codes = codes.reshape(-1, 1)
    if codes.size and int(codes.max()) >> bits:
        raise ValueError(f"a code of {int(codes.max())} does not fit in {bits} bits")
    spread = (codes >> np.arange(bits, dtype=np.uint8)) & 1
    return np.packbits(spread.reshape(-1), bitorder="little")


def unpack(packed: NDArray[np.uint8], bits: int, count: int) -> NDArray[np.uint8]:
    """The first `count` codes of packed bytes."""
    spread = np.unpackbits(packed, count=count * bits, bitorder="little").reshape(count, bits)
    codes: NDArray[np.uint8] = (spread << np.arange(bits, dtype=np.uint8)).sum(1, dtype=np.uint8)
    return codes
