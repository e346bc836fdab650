"""Two networks, or two runs, judged on the same images: which answers changed, and how sure a drop is.

Without torch, for pages too.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

Z_95 = 1.959964  # the standard normal's 97.5 % point: 95 % lie within ± so many standard deviations


class Band(NamedTuple):
    """A 95 % confidence band of a share in [0, 1], or of a difference of two."""

    low: float
    high: float


class PairedDrop(NamedTuple):
    """What the same test images say of two networks: which answers changed, and how sure the drop is."""

    lost: int  # images that the first has right and the second wrong
    won: int  # the other way round
    share: float  # (lost - won) / n: the drop of top-1, in [-1, 1]
    band: Band  # its 95 % band; wholly above 0 where the drop is more than chance


def drop_of(lost: int, won: int, n: int) -> PairedDrop:
    """The drop of a share from the first to the second, of n images of which so many changed.

    Two networks that are judged on the same images err on much the same ones, so their own bands overlap
    long after the difference has become sure. Normal approximation to the paired difference, each
    count raised by one half (Agresti and Min 2005), which keeps the band open where nothing changed.
    """
    b, c, m = lost + 0.5, won + 0.5, n + 2
    centre = (b - c) / m
    half = Z_95 * math.sqrt(b + c - (b - c) ** 2 / m) / m
    return PairedDrop(lost, won, (lost - won) / n, Band(centre - half, centre + half))


def mean_band(values: Sequence[float]) -> Band | None:
    """The 95 % band of the mean of paired differences, one an image; None of fewer than two.

    Student's t, by three terms of its expansion around the normal (Fisher and Cornish 1960): within 1 % from
    5 images on.
    """
    n = len(values)
    if n < 2:
        return None
    centre = math.fsum(values) / n
    spread = math.sqrt(math.fsum((value - centre) ** 2 for value in values) / (n - 1))
    z, k = Z_95, n - 1
    t = z + (z**3 + z) / (4 * k) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * k**2)
    t += (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * k**3)
    half = t * spread / math.sqrt(n)
    return Band(centre - half, centre + half)


def packed(right: Sequence[bool]) -> str:
    """Which of the images are right, as hexadecimal digits; the last image is the lowest bit."""
    return f"{int(''.join('01'[bool(one)] for one in right) or '0', 2):x}"


def drop_between(first: str, second: str, n: int) -> PairedDrop:
    """The same from what `packed` kept of two runs on the same n images; ValueError for no such text."""
    one, other = int(first, 16), int(second, 16)
    return drop_of((one & ~other).bit_count(), (other & ~one).bit_count(), n)
