"""Weights of one bit: two levels a channel, and gradients through the sign that get sharper as training goes.

Qin, Gong, Liu, Shen, Wei, Yu, Song: "Forward and Backward Information Retention for Accurate Binary Neural
Networks" (IR-Net), CVPR 2020, arXiv:1909.10788: section 3.2 balances the signs, section 3.3 estimates their
gradient. There a channel is -s and +s with s a power of two, for BatchNorm learns behind it; here BatchNorm
stays, so s is what least squares gives, mean |w - m|, and the mean m may be added back.
"""

import math
from typing import Any

import torch
from torch import Tensor

from engine.core.sampling.samples import sampled
from engine.quantization.grids.level_sets import WeightCodes, level_values

FELT = 0.1  # a slope from here on is felt
_LEAST = 1e-8
_MOST_VALUES = 2**14  # of a layer, for how far its weights lie from 0


def signs(x: Tensor) -> Tensor:
    """+1 from 0 on, else -1: `torch.sign` gives 0 at 0, which is none of the two."""
    return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)


def sharpness_at(progress: float, low: float, high: float) -> float:
    """From low to high: t = low · 10^(progress · log10(high / low)) (IR-Net, section 3.3)."""
    return low * 10 ** (progress * math.log10(high / low))


def slope(x: Tensor, sharpness: float | None) -> Tensor:
    """The sign's gradient as estimated: k t (1 - tanh²(t x)), k = max(1 / t, 1) (IR-Net, equation 14).

    None of the sharpness is the straight-through estimator: 1 everywhere.
    """
    if sharpness is None:
        return torch.ones_like(x)
    return max(1.0, sharpness) * (1 - torch.tanh(sharpness * x).square())


def held_back(sharpness: float, x: Tensor, share: float) -> float:
    """The sharpness, or the highest below it at which this share of x still has a slope that is felt.

    The rule is ours; DIR-Net (Qin et al., IJCV 2023) holds its estimator back by the distribution of the
    weights too, but its text could not be had.
    """
    values = sampled(x.detach(), _MOST_VALUES).abs().flatten()
    far = values.kthvalue(min(len(values), max(1, math.ceil(share * len(values))))).values

    def felt(at: float) -> bool:
        return float(slope(far, at)) >= FELT

    if share == 0 or felt(sharpness):
        return sharpness
    low, high = math.log(1e-4), math.log(sharpness)  # felt is an interval that begins at 0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if felt(math.exp(middle)) else (low, middle)
    return math.exp(low)


class _Sign(torch.autograd.Function):
    """The sign, whose gradient is `slope`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, sharpness: float | None) -> Tensor:
        ctx.save_for_backward(x)
        ctx.sharpness = sharpness
        return signs(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return grads[0] * slope(x, ctx.sharpness), None


class BinaryWeightCodes(WeightCodes):
    """Levels c - s and c + s a channel: c is its mean with `offset`, else 0; s how far from the border it is.

    The border between the two codes is the mean with `balance`, so that about half of the bits are set;
    else 0; s is the mean distance of the weights to it. While `learning`, the levels are those of the
    weights as they are, and gradients pass through levels and signs.
    """

    border: Tensor  # [channels, 1]
    centre: Tensor  # [channels, 1]
    reach: Tensor  # [channels, 1]

    def __init__(self, bits: int, *, balance: bool = True, offset: bool = True) -> None:
        super().__init__()
        self.bits, self.balance, self.offset = bits, balance, offset and balance
        self.learning = False
        self.sharpness: float | None = None

    def fit(self, weight: Tensor) -> None:
        flat = weight.detach().flatten(1)
        border = self.border_of(flat)
        self.register_buffer("border", border.clone())
        self.register_buffer("centre", border.clone() if self.offset else torch.zeros_like(border))
        self.register_buffer("reach", (flat - border).abs().mean(1, keepdim=True))
        self.take(self.nearest(weight.detach()))

    def border_of(self, flat: Tensor) -> Tensor:
        """[channels, 1]: from where on a weight of [channels, n] is the upper level."""
        mean = flat.mean(1, keepdim=True)
        return mean if self.balance else torch.zeros_like(mean)

    def spread(self, weight: Tensor) -> Tensor:
        """[channels, n]: how far each weight is from the border, in standard deviations of its channel."""
        flat = weight.flatten(1)
        away = flat - self.border_of(flat)
        return away / away.square().mean(1, keepdim=True).sqrt().clamp_min(_LEAST)

    def levels(self) -> Tensor:
        return torch.cat([self.centre - self.reach, self.centre + self.reach], 1)

    def nearest(self, weight: Tensor) -> Tensor:
        """The codes by the side of the border; without the offset, the level of that side may be farther."""
        return (weight.flatten(1) >= self.border).view(weight.shape).to(weight.dtype)

    def forward(self, weight: Tensor) -> Tensor:
        if not self.learning:
            return level_values(self.codes.flatten(1), self.levels()).view(self.codes.shape)
        flat = weight.flatten(1)
        border = self.border_of(flat)
        reach = (flat - border).abs().mean(1, keepdim=True)
        decided: Tensor = _Sign.apply(self.spread(weight), self.sharpness)  # type: ignore[no-untyped-call]
        values = reach * decided + (border if self.offset else 0)
        return values.view(weight.shape)

    def side_bits(self) -> int:
        """For each channel a float32 s, and c where it is not 0."""
        return self.reach.numel() * (64 if self.offset else 32)

    def stored(self) -> dict[str, Tensor]:
        return {
            "codes": self.codes, "border": self.border, "centre": self.centre, "reach": self.reach,
        }  # fmt: skip

    def restore(self, state: dict[str, Tensor]) -> None:
        for name in ("codes", "border", "centre", "reach"):
            self.register_buffer(name, state[name])


def sign_entropy(upper: Tensor) -> float:
    """Bits that a sign says: of each channel of [channels, n] booleans, on average; 1 where half are set."""
    p = upper.double().mean(1)
    bits = (torch.special.entr(p) + torch.special.entr(1 - p)) / math.log(2)
    return float(bits.mean())
