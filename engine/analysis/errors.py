"""How far one tensor is from another that it stands for."""

import math

from torch import Tensor

LIMIT_DB = 100.0  # beyond, float32 rounding is what is measured; also keeps the numbers finite


def sqnr_db(reference: Tensor, other: Tensor) -> float:
    """Signal to quantization noise in dB, within ±100: 100 means equal, 0 means all noise.

    A reference of zeros has no signal: 100 where the other is zero too, else -100.
    """
    signal = _energy(reference)
    noise = _energy(reference.double() - other.double())
    if noise == 0:
        return LIMIT_DB
    if signal == 0 or not math.isfinite(noise):
        return -LIMIT_DB
    return max(-LIMIT_DB, min(LIMIT_DB, 10 * math.log10(signal / noise)))


def cosine(a: Tensor, b: Tensor) -> float:
    """The cosine of the angle between two tensors; 1 for two zeros, 0 for a zero and something."""
    lengths = math.sqrt(_energy(a)) * math.sqrt(_energy(b))
    if lengths == 0:
        return 1.0 if _energy(a) == _energy(b) else 0.0
    product = float((a.double() * b.double()).sum())
    return max(-1.0, min(1.0, product / lengths))


def _energy(x: Tensor) -> float:
    return float(x.double().square().sum())
