"""Uniform grids: codes (integers) to values (floats) and back."""

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
