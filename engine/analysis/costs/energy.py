"""Energy of one image by a published table: what arithmetic takes, and what fetching the weights takes.

Horowitz: "Computing's energy problem (and what we can do about it)", ISSCC 2014, figures for 45 nm at 0.9 V:
an 8-bit integer product 0.2 pJ, a 32-bit one 3.1, a 32-bit integer sum 0.1, a float32 product 3.7, a float32
sum 0.9; 64 bits from a cache of 8 kB 10 pJ, of 1 MB 100 pJ, from DRAM 1.3 to 2.6 nJ.

The table has no products of 2, 3 or 4 bits. A multiplier grows with the product of its factors' bits (the
table's own step from 8 to 32 bits, 16 times the area, is 15.5 times the energy), so other widths are scaled
like that: our interpolation, for an ideal device that has such multipliers. Activations moved between layers
are not counted. It is an estimate of order, never a measurement.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

SOURCE = "Horowitz, Computing's energy problem, ISSCC 2014 (45 nm, 0.9 V)"
PRODUCT_8_PJ, SUM_32_PJ = 0.2, 0.1
FLOAT_PRODUCT_PJ, FLOAT_SUM_PJ = 3.7, 0.9
WORD_BITS = 64
CACHE_PJ, DRAM_PJ = (10.0, 100.0), (1300.0, 2600.0)  # of a word: the least, the most
PJ_PER_UJ = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One layer's multiply-accumulates for one image, and the bits of their two factors; None: float32."""

    macs: int
    weight_bits: int | None = None
    activation_bits: int | None = None


class Energy(NamedTuple):
    """In microjoules for one image; ranges are from the least of the table to the most."""

    arithmetic: float
    weights_cached: tuple[float, float]  # every weight read once from a cache of 8 kB to 1 MB
    weights_dram: tuple[float, float]  # or from DRAM


def mac_pj(weight_bits: int | None, activation_bits: int | None) -> float:
    """Picojoules of one product and its sum, in 32 bits."""
    if weight_bits is None or activation_bits is None:
        return FLOAT_PRODUCT_PJ + FLOAT_SUM_PJ
    return PRODUCT_8_PJ * weight_bits * activation_bits / 64 + SUM_32_PJ


def energy(layers: Iterable[Work], stored_bytes: int) -> Energy:
    """Of one image through these layers, whose weights take so many bytes and are read once."""
    arithmetic = sum(one.macs * mac_pj(one.weight_bits, one.activation_bits) for one in layers)
    words = 8 * stored_bytes / WORD_BITS / PJ_PER_UJ
    low, high = (words * each for each in CACHE_PJ)
    dram_low, dram_high = (words * each for each in DRAM_PJ)
    return Energy(arithmetic / PJ_PER_UJ, (low, high), (dram_low, dram_high))
