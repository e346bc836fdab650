"""Uniform grids: codes (integers) to values (floats) and back, and the search for a good step size.

The search is the one of BRECQ, QDrop and GENIE-M: shrink the range step by step and keep the clip ratio
with the smallest mean |x − Q(x)|^2.4 (which weighs large errors a little more than the square does).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.core.samples import sampled

CLIP_RATIOS = tuple(
    i / 100 for i in range(100, 0, -1)
)  # 1.00 first, so that ties keep the full range
ERROR_NORM = 2.4
_MAX_SEARCHED = (
    2**18
)  # values that an activation search looks at; the range is taken from all of them


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
    lowest, highest = (
        flat.amin(1, keepdim=True).clamp_max(0),
        flat.amax(1, keepdim=True).clamp_min(0),
    )
    best_error = torch.full_like(lowest, torch.inf)
    best_scale, best_zero = torch.ones_like(lowest), torch.zeros_like(lowest)
    for ratio in CLIP_RATIOS:
        grid = asymmetric(ratio * lowest, ratio * highest, bits)
        error = (flat - grid.quantize(flat)).abs().pow(ERROR_NORM).mean(1, keepdim=True)
        better = error < best_error
        best_error = torch.where(better, error, best_error)
        best_scale = torch.where(better, grid.scale, best_scale)
        best_zero = torch.where(better, grid.zero_point, best_zero)
    shape = (-1,) + (1,) * (weight.dim() - 1)
    return Grid(best_scale.view(shape), best_zero.view(shape), 0, 2**bits - 1)


def asymmetric(lowest: Tensor, highest: Tensor, bits: int) -> Grid:
    levels = 2**bits - 1
    scale = ((highest - lowest) / levels).clamp_min(1e-12)
    return Grid(scale, torch.round(-lowest / scale).clamp(0, levels), 0, levels)


def activation_bounds(x: Tensor, bits: int) -> tuple[int, int]:
    """(low, high) codes: unsigned where nothing is negative, else two's complement."""
    if float(x.min()) >= 0:
        return 0, 2**bits - 1
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def search_activation_step(x: Tensor, bits: int) -> tuple[float, int, int]:
    """(scale, low, high) of one grid for the whole tensor, zero point 0.

    Of a large tensor 2^18 values from all over it are scored (`sampled`): the choice among 100 ratios
    does not need more, and the range itself comes from all values.
    """
    x = x.detach().float()
    low, high = activation_bounds(x, bits)
    largest = float(x.abs().max())
    if largest == 0:
        return 1.0, low, high
    sample = sampled(x, _MAX_SEARCHED)
    span = largest if low == 0 else 2 * largest
    best = (float("inf"), 1.0)
    for ratio in CLIP_RATIOS:
        scale = ratio * span / (2**bits - 1)
        quantized = (sample / scale).round().clamp(low, high) * scale
        error = float((sample - quantized).abs().pow(ERROR_NORM).mean())
        if error < best[0]:
            best = (error, scale)
    return best[1], low, high
