"""Sums of signed powers of two: the values that weights may be fixed to, and how far a weight is from one.

Subia-Waud, Dasmahapatra: "Probabilistic Weight Fixing: Large-scale training of neural network weight
uncertainties for quantisation", NeurIPS 2023, arXiv:2309.13575, section 3 (in the reading of its release).
"""

import math

import torch
from torch import Tensor

LEAST_SIGMA, MOST_SIGMA = 2.0**-30, 0.05
START_SIGMA = (
    0.0025  # of a weight that is farther from powers of two than three quarters of its layer's
)


def signed_sums(order: int, finest: int, largest: float) -> Tensor:
    """Sums of at most `order` powers ±2^−finest, ±2^(1−finest), ..., none beyond ±largest; double, rising.

    0 is among them. A power may be the first one above `largest`: 1 − 2^−7 is a sum of two where the
    largest is 0.995.
    """
    unit = 2.0**-finest
    last = finest + math.ceil(math.log2(max(largest, unit)))
    powers = 2 ** torch.arange(last + 1)
    signed = torch.cat([-powers, torch.tensor([0]), powers])
    sums = torch.tensor([0])
    for _ in range(order):
        sums = (sums[:, None] + signed).flatten().unique()
    values = sums.double() * unit
    return values[values.abs() <= max(largest, 0.0)]


def prior_sigma(weight: Tensor) -> Tensor:
    """How far each weight may move at the start, as the weight: little where a power of two is near.

    With the powers of two p below and q above |w|, r = (|w| − p)/|w| · (q − |w|)/|w|, and σ is
    0.0025 r / (the 75th percentile of r in the layer), from 2^−30 to 0.05. A weight of 0, which is in every
    codebook, has the least.
    """
    size = weight.detach().abs().double()
    below = torch.exp2(torch.floor(torch.log2(size.clamp_min(1e-300))))
    away = (size - below) * (2 * below - size) / size.square().clamp_min(1e-300)
    place = round(0.75 * (away.numel() - 1))
    usual = away.flatten().kthvalue(place + 1).values.clamp_min(1e-30)
    sigma: Tensor = (START_SIGMA * away / usual).clamp(LEAST_SIGMA, MOST_SIGMA)
    return sigma.to(weight.dtype)
