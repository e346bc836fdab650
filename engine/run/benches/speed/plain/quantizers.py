"""Quantizers as published code writes them: elementary operations that autograd goes back through."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from engine.quantization.grids.quantizers import ActivationQuantizer, WeightQuantizer
from engine.quantization.grids.soft_rounding import GAMMA, ZETA

Draw = Callable[[Tensor, float], Tensor]  # (x, probability): True where the quantized value is used


def torch_draws(rng: torch.Generator) -> Draw:
    """A float for every element, as published code draws them."""
    return lambda x, share: torch.rand(x.shape, generator=rng) < share


def rounded(x: Tensor) -> Tensor:
    """The nearest whole numbers, with the gradient of x."""
    return (x.round() - x).detach() + x


class PlainWeights(nn.Module):
    """AdaRound with a step size that moves (GENIE-M), from a grid that was fitted."""

    def __init__(self, fitted: WeightQuantizer, weight: Tensor) -> None:
        super().__init__()
        self.scale = nn.Parameter(fitted.scale.detach().clone())
        self.zero_point, self._highest = fitted.zero_point, fitted.highest
        ratio = weight.detach() / self.scale.detach()
        self._base = ratio.floor()
        self.rounding = nn.Parameter(
            torch.logit((ratio - self._base - GAMMA) / (ZETA - GAMMA)).contiguous()
        )

    def soft_rounding(self) -> Tensor:
        """How far each weight is rounded up, in [0, 1]."""
        return (torch.sigmoid(self.rounding) * (ZETA - GAMMA) + GAMMA).clamp(0, 1)

    def forward(self, weight: Tensor) -> Tensor:
        codes = self._base + self.soft_rounding() + self.zero_point
        values: Tensor = (codes.clamp(0, self._highest) - self.zero_point) * self.scale
        return values

    def settled(self) -> dict[str, Tensor]:
        """The grid, and codes up or down as the soft roundings lean, as a quantizer stores them."""
        codes = self._base + (self.rounding.detach() >= 0) + self.zero_point
        scale = self.scale.detach().clone()
        return {
            "codes": codes.clamp(0, self._highest).to(torch.uint8),
            "scale": scale,
            "zero_point": self.zero_point,
            "fitted_scale": scale,
        }


class PlainInput(nn.Module):
    """LSQ's step size for a layer's input, some of whose elements stay float (QDrop)."""

    def __init__(self, fitted: ActivationQuantizer, keep_float: float, draw: Draw) -> None:
        super().__init__()
        self.scale = nn.Parameter(fitted.scale.detach().clone())
        self._low, self._high = fitted.low, fitted.high
        self._keep_float, self._draw = keep_float, draw

    def forward(self, x: Tensor) -> Tensor:
        values = rounded((x / self.scale).clamp(self._low, self._high)) * self.scale
        return torch.where(self._draw(x, 1 - self._keep_float), values, x)
