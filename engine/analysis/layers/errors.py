"""How far one tensor is from another that it stands for."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

LIMIT_DB = 100.0  # beyond, float32 rounding is what is measured; also keeps the numbers finite

AT_ONCE = 2**22  # values of a tensor that are made doubles at a time


class Distance(NamedTuple):
    """How far a tensor is from its reference, in three ways; the first and the last know no scale."""

    sqnr_db: float  # see `sqnr_db`; higher is nearer
    mse: float  # mean squared difference, in squared units of the tensors; inf or nan where one is broken
    cosine: float  # see `cosine`; higher is nearer


def distance(reference: Tensor, other: Tensor) -> Distance:
    """All three at once, of tensors of one shape."""
    signal = noise = product = energy = 0.0
    for part, its in zip(_parts(reference), _parts(other), strict=True):
        a, b = _flat(part), _flat(its)
        signal, noise = signal + _energy(a), noise + _energy(a - b)
        product, energy = product + float(torch.dot(a, b)), energy + _energy(b)
    return Distance(
        sqnr_db=decibels(signal, noise),
        mse=noise / max(reference.numel(), 1),
        cosine=_cosine(product, signal, energy),
    )


def sqnr_db(reference: Tensor, other: Tensor) -> float:
    """Signal to quantization noise in dB, within ±100: 100 means equal, 0 means all noise.

    A reference of zeros has no signal: 100 where the other is zero too, else -100.
    """
    a = _flat(reference)
    return decibels(_energy(a), _energy(a - _flat(other)))


def cosine(a: Tensor, b: Tensor) -> float:
    """The cosine of the angle between two tensors; 1 for two zeros, 0 for a zero and something.

    What is broken (inf, nan) has no direction: 0 with anything.
    """
    one, two = _flat(a), _flat(b)
    return _cosine(float(torch.dot(one, two)), _energy(one), _energy(two))


def decibels(signal: float, noise: float) -> float:
    """10 log10 of signal over noise, both ≥ 0, within ±100; noise that is not finite is all there is."""
    if noise == 0:
        return LIMIT_DB
    if signal == 0 or not math.isfinite(noise):
        return -LIMIT_DB
    return max(-LIMIT_DB, min(LIMIT_DB, 10 * math.log10(signal / noise)))


def image_psnrs(images: Tensor, truth: Tensor) -> Tensor:
    """PSNR of each image in dB, at most 100: [n], double; pixels [n, ...] in [0, 1], clipped to it first."""
    errors = (images.double().clamp(0, 1) - truth.double()).square().flatten(1).mean(1)
    return -10 * errors.clamp_min(10 ** (-LIMIT_DB / 10)).log10()


def _cosine(product: float, energy_a: float, energy_b: float) -> float:
    lengths = math.sqrt(energy_a) * math.sqrt(energy_b)
    if not math.isfinite(lengths):  # min and max below would make a 1 of a nan
        return 0.0
    if lengths == 0:
        return 1.0 if energy_a == energy_b else 0.0
    return max(-1.0, min(1.0, product / lengths))


def _parts(x: Tensor) -> tuple[Tensor, ...]:
    """The tensor along its first dimension, so few rows at a time that doubles of them are little memory."""
    if x.dim() == 0 or x.numel() <= AT_ONCE:
        return (x,)
    return torch.split(x, max(1, AT_ONCE * len(x) // x.numel()))


def _flat(x: Tensor) -> Tensor:
    """All values as doubles, those of maps in the order in which they lie in memory where that is theirs."""
    x = x.detach()
    if x.dim() == 4:  # channels last: no copy to put them into another order
        x = x.permute(0, 2, 3, 1)
    return x.reshape(-1).double()


def _energy(x: Tensor) -> float:
    return float(torch.dot(x, x))
