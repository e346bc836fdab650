"""Roundings that are learned: how far up each weight goes, and what it costs to be undecided.

Nagel et al., AdaRound, ICML 2020, section 3.2. Gradients are written out: these tensors are small, so that
a step's time goes by the number of operations, and torch's own way back takes three times as many.
"""

from typing import Any

import torch
from torch import Tensor

from engine.quantization.grids.learned_step import is_same

GAMMA, ZETA = -0.1, 1.1  # they stretch the sigmoid, so that it reaches 0 and 1


def soft_rounding(v: Tensor) -> Tensor:
    """h(V) in [0, 1]: how far each weight is rounded up (AdaRound, eq. 23)."""
    return _stretched(torch.sigmoid(v)).clamp(0, 1)


class SoftWeight(torch.autograd.Function):
    """s · (clip(⌊W / s₀⌋ + h(V) + z) − z), with gradients for V and s."""

    @staticmethod
    def forward(
        ctx: Any, v: Tensor, scale: Tensor, base: Tensor, zero_point: Tensor, highest: int
    ) -> Tensor:
        sigmoid, h, moves = _looked_at(v)
        place = (base + h).add_(zero_point)
        codes = place.clamp(0, highest)
        moves = moves.mul_(is_same(codes, place))
        steps = codes.sub_(zero_point)
        ctx.save_for_backward(sigmoid, moves, steps, scale)
        return scale * steps

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        sigmoid, moves, steps, scale = ctx.saved_tensors
        (grad,) = grads
        of_scale = (grad * steps).sum_to_size(scale.shape)
        return (grad * scale).mul_(_slope(sigmoid, moves)), of_scale, None, None, None


class Undecided(torch.autograd.Function):
    """Σ 1 − |2h(V) − 1|^β: zero once every weight has decided (AdaRound, eq. 24)."""

    @staticmethod
    def forward(ctx: Any, v: Tensor, beta: float) -> Tensor:
        sigmoid, h, moves = _looked_at(v)
        side = h.mul_(2).sub_(1)  # −1: down, 1: up
        power = side.abs().pow_(beta - 1)
        ctx.beta = beta
        ctx.save_for_backward(sigmoid, moves, side, power)
        return v.numel() - (power * side.abs()).sum()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        sigmoid, moves, side, power = ctx.saved_tensors
        (grad,) = grads
        of_h = (power * side.sign()).mul_(-2 * ctx.beta * grad)
        return of_h.mul_(_slope(sigmoid, moves)), None


def _stretched(sigmoid: Tensor) -> Tensor:
    return (sigmoid * (ZETA - GAMMA)).add_(GAMMA)


def _looked_at(v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(the sigmoid, h, 1 where h is not clipped)."""
    sigmoid = torch.sigmoid(v)
    free = _stretched(sigmoid)
    h = free.clamp(0, 1)
    return sigmoid, h, is_same(h, free)


def _slope(sigmoid: Tensor, moves: Tensor) -> Tensor:
    """∂h / ∂V, nothing where h is clipped."""
    return torch.addcmul(sigmoid, sigmoid, sigmoid, value=-1).mul_(ZETA - GAMMA).mul_(moves)
