"""Uniform grids: codes (integers) to values (floats) and back."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


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


def on_even_levels(x: Tensor, scale: float, low: int, high: int) -> Tensor:
    """X at the nearest of scale · {low, .., high}, halves to even; its gradient passes inside the range.

    torch's own kernel also writes down where the gradient passes, and takes six times as long on a
    processor as these four passes over memory: it serves where a gradient is wanted, and elsewhere. The
    values are the same, bit for bit (they are products with the reciprocal in float32, not quotients).
    What is no number stays none here, and becomes a level there.
    """
    wants_gradient = torch.is_grad_enabled() and x.requires_grad
    step = torch.tensor(scale, dtype=torch.float32)
    inverse = float(step.reciprocal())
    if wants_gradient or x.dtype != torch.float32 or x.is_cuda or not math.isfinite(inverse):
        return torch.fake_quantize_per_tensor_affine(x, scale, 0, low, high)
    return x.mul(inverse).round_().clamp_(low, high).mul_(float(step))


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
        return on_even_levels(x, self.scale, self.low, self.high)


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
