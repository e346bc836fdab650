"""Uniform grids: codes (integers) to values (floats) and back, and the search for a good step size.

The search is the one of BRECQ, QDrop and GENIE-M: shrink the range step by step and keep the clip ratio
with the smallest mean |x − Q(x)|^2.4 (which weighs large errors a little more than the square does).
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from engine.core.sampling.samples import sampled

CLIP_RATIOS = tuple(
    i / 100 for i in range(100, 0, -1)
)  # 1.00 first, so that ties keep the full range
ERROR_NORM = 2.4
_MAX_SEARCHED = 2**18  # values that an activation search looks at; the range comes from all
_AT_ONCE = 2**16  # values that a weight search holds: ratios of a small layer are tried together


@dataclass(frozen=True, slots=True)
class Grid:
    """values = scale · (codes − zero_point), codes in [low, high]; scale broadcasts against the tensor."""

    scale: Tensor
    zero_point: Tensor  # whole numbers within [low, high], so that integer kernels can hold them
    low: int
    high: int

    def codes(self, x: Tensor) -> Tensor:
        """The nearest codes, clipped to the grid."""
        return (torch.round(x / self.scale) + self.zero_point).clamp(self.low, self.high)

    def values(self, codes: Tensor) -> Tensor:
        return self.scale * (codes - self.zero_point)

    def quantize(self, x: Tensor) -> Tensor:
        return self.values(self.codes(x))


def search_weight_grid(weight: Tensor, bits: int) -> Grid:
    """A grid for each output channel (dimension 0), asymmetric, codes in [0, 2^bits − 1].

    The range always includes 0. (GENIE's code lets the zero point leave the grid where all weights of a
    channel have one sign; such a grid cannot be exported.)
    """
    flat = weight.detach().flatten(1)
    lowest = flat.amin(1, keepdim=True).clamp_max(0)
    highest = flat.amax(1, keepdim=True).clamp_min(0)
    least = torch.full_like(lowest, torch.inf)
    scale, zero_point = torch.ones_like(lowest), torch.zeros_like(lowest)
    ratios = torch.tensor(CLIP_RATIOS, dtype=flat.dtype, device=flat.device).view(-1, 1, 1)
    for some in ratios.split(max(1, _AT_ONCE // flat.numel())):
        grid = asymmetric(some * lowest, some * highest, bits)
        errors = (flat - grid.quantize(flat)).abs().pow(ERROR_NORM).mean(2, keepdim=True)
        errors = errors.nan_to_num(nan=torch.inf, posinf=torch.inf)
        first = errors.argmin(0, keepdim=True)  # of equal errors the widest range
        error, its_scale, its_zero = (
            found.gather(0, first)[0] for found in (errors, grid.scale, grid.zero_point)
        )
        better = error < least
        least = torch.where(better, error, least)
        scale = torch.where(better, its_scale, scale)
        zero_point = torch.where(better, its_zero, zero_point)
    shape = (-1,) + (1,) * (weight.dim() - 1)
    return Grid(scale.view(shape), zero_point.view(shape), 0, 2**bits - 1)


def asymmetric(lowest: Tensor, highest: Tensor, bits: int) -> Grid:
    levels = 2**bits - 1
    scale = ((highest - lowest) / levels).clamp_min(1e-12)
    return Grid(scale, torch.round(-lowest / scale).clamp(0, levels), 0, levels)


class StepAndBounds(NamedTuple):
    """A grid of one step for a whole tensor: scale · code, codes in [low, high], so that 0 is a level.

    A zero point z of codes from 0 on is low = −z; two's complement has low = −2^(bits − 1).
    """

    scale: float
    low: int
    high: int

    def of(self, x: Tensor) -> Tensor:
        """The values on the grid."""
        return torch.fake_quantize_per_tensor_affine(x, self.scale, 0, self.low, self.high)


def activation_grid(
    lowest: float, highest: float, bits: int, *, zero_point: bool = False
) -> StepAndBounds:
    """The grid of values between these ends: unsigned where none is negative, else two's complement.

    With `zero_point` the levels lie between the two ends, rather than over as much on both sides of 0:
    behind SiLU, hard-swish or GELU half of the levels would else hold nothing.
    """
    steps = 2**bits - 1
    if lowest >= 0:
        return StepAndBounds(highest / steps, 0, steps)
    if not zero_point:
        half = 2 ** (bits - 1)
        return StepAndBounds(2 * max(-lowest, highest) / steps, -half, half - 1)
    scale = (max(highest, 0.0) - lowest) / steps
    below = min(steps, round(-lowest / scale))
    return StepAndBounds(scale, -below, steps - below)


def search_activation_grid(x: Tensor, bits: int, *, zero_point: bool = False) -> StepAndBounds:
    """One grid for the whole tensor, of all clip ratios the one with the least error.

    Of a large tensor 2^18 values from all over it are scored (`sampled`): the choice among 100 ratios
    does not need more, and the range itself comes from all values. A ratio shortens both ends alike, as
    in the releases of BRECQ, QDrop and PD-Quant.
    """
    x = x.detach().float()
    lowest, highest = float(x.min()), float(x.max())
    if lowest == highest == 0:
        return StepAndBounds(1.0, 0, 2**bits - 1)
    sample = sampled(x, _MAX_SEARCHED)
    best, least = None, float("inf")
    for ratio in CLIP_RATIOS:
        grid = activation_grid(ratio * lowest, ratio * highest, bits, zero_point=zero_point)
        quantized = (sample / grid.scale).round().clamp(grid.low, grid.high) * grid.scale
        error = float((sample - quantized).abs().pow(ERROR_NORM).mean())
        if best is None or error < least:
            best, least = grid, error
    assert best is not None
    return best
