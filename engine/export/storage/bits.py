"""Bit strings of any lengths, one behind another, and windows into them."""

import numpy as np
from numpy.typing import NDArray

WINDOW = 16  # bits that are looked at together: no code is longer
_AT_ONCE = 1 << 18  # values: each takes some 200 bytes while it is spread out


def write_bits(
    values: NDArray[np.integer], lengths: NDArray[np.integer]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """(bytes in whole words of 32 bits, the end of each string as a bit position), highest bits first.

    `values` [n] are written in `lengths` [n] bits each, of which none is more than WINDOW.
    """
    numbers, widths = values.astype(np.uint32), lengths.astype(np.int64)
    ends = np.cumsum(widths)
    total = int(ends[-1]) if len(ends) else 0
    out = np.zeros(4 * -(-total // 32), np.uint8)
    for first in range(0, len(numbers), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        start = int(ends[first] - widths[first])
        string = _string(numbers[part], widths[part])
        packed = np.packbits(np.pad(string, (start % 8, 0)))
        out[start // 8 : start // 8 + len(packed)] |= packed
    return out, ends


def _string(values: NDArray[np.uint32], lengths: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The bits one by one."""
    left = lengths[:, None] - 1 - np.arange(int(lengths.max()))  # bits behind; negative: none here
    spread = (values[:, None] >> np.maximum(left, 0).astype(np.uint32)) & 1
    string: NDArray[np.uint8] = spread[left >= 0].astype(np.uint8)
    return string


def windows(data: NDArray[np.uint8], at: NDArray[np.int64]) -> NDArray[np.int64]:
    """The WINDOW bits from each position on, as whole numbers; behind the end of `data` are zeros."""
    first = at // 8
    padded = np.pad(data, (0, 3)).astype(np.int64)
    first = np.minimum(first, len(data))
    three = (padded[first] << 16) | (padded[first + 1] << 8) | padded[first + 2]
    found: NDArray[np.int64] = (three >> (8 - at % 8)) & ((1 << WINDOW) - 1)
    return found


def read_numbers(data: NDArray[np.uint8], bits: int, count: int) -> NDArray[np.int64]:
    """The first `count` numbers of `bits` bits each."""
    return windows(data, np.arange(count, dtype=np.int64) * bits) >> (WINDOW - bits)
