"""Levels whose interval is a multiple of the weights' standard deviation: c = α σ.

Uniform levels are c · k / n for k = −n .. n; logarithmic ones 0 and ± c · 2^−e for e = 0 .. n − 1; with
n = 2^(bits − 1) − 1 for the first and as many powers for the second, so that both have 2^bits − 1 levels
and 0 is one of them. What lies nearest to 0 becomes 0, so α decides how many weights are pruned.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.quantization.grids.level_sets import WeightCodes, nearest_codes
from engine.quantization.grids.quantizers import WeightQuantizer
from engine.quantization.grids.uniform import Grid

ALPHAS = tuple(0.1 * k for k in range(3, 101))  # searched: 0.3 σ to 10 σ
SPARED_BITS = 8  # layers of so many bits are not pruned: their zero level is too narrow to widen


def spread(weight: Tensor, *, by_channel: bool) -> Tensor:
    """σ of the weights [channels, 1], of each channel (dimension 0) or the same of the whole layer."""
    flat = weight.detach().flatten(1)
    if by_channel:
        return flat.std(1, correction=0, keepdim=True).clamp_min(1e-12)
    return flat.std(correction=0).clamp_min(1e-12).expand(len(flat), 1)


def uniform_levels(bits: int) -> Tensor:
    """[2^bits − 1] levels of the interval 1, rising."""
    half = 2 ** (bits - 1) - 1
    levels: Tensor = torch.arange(-half, half + 1) / half
    return levels


def log_levels(bits: int) -> Tensor:
    """[2^bits − 1] levels of the interval 1, rising: powers of two of both signs, and 0."""
    powers = 2.0 ** -torch.arange(2 ** (bits - 1) - 1)
    return torch.cat([-powers, torch.zeros(1), powers.flip(0)])


def best_alpha(weight: Tensor, sigma: Tensor, levels: Tensor) -> float:
    """The α of the least squared error of the weights, one for the layer."""
    flat = weight.detach().flatten(1)

    def error(alpha: float) -> float:
        at = levels.to(flat) * (alpha * sigma)
        return float((flat - at.gather(1, nearest_codes(flat, at))).square().sum())

    return min(ALPHAS, key=error)


def pruning_alpha(weight: Tensor, sigma: Tensor, levels: Tensor, share: float) -> float:
    """The α at which this share of the layer's weights is nearest to 0, by bisection.

    The share grows with α, from none to all; it is met up to the share of weights of one size. ValueError
    for a share that is not in [0, 1).
    """
    if not 0 <= share < 1:
        raise ValueError(f"a share of {share} cannot be pruned")
    zero = float(levels[levels > 0].min()) / 2  # in units of the interval: below, 0 is nearest
    sizes = weight.detach().flatten(1).abs() / (sigma * zero)
    return _bisected(lambda alpha: float((sizes < alpha).float().mean()), share, float(sizes.max()))


def _bisected(share_at: Callable[[float], float], share: float, high: float) -> float:
    low, high = 0.0, 2 * high + 1e-6
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if share_at(middle) < share else (low, middle)
    return high


@dataclass(slots=True, kw_only=True)
class Interval:
    """The interval α σ of a layer's weights, [channels, 1]."""

    alpha: float = 0.0  # what was given, else what is chosen once
    pruned: float = 0.0  # the share to prune, where no α was given; else α is what errs least
    by_channel: bool = False
    by_size: bool = False  # the share is pruned apart, and the interval chosen for what is left

    def kept(self, weight: Tensor, bits: int) -> Tensor:
        """The weights that levels are fitted to: where pruning is apart, with the smallest share at 0."""
        if not self.by_size or not self.pruned or bits >= SPARED_BITS:
            return weight
        sizes = weight.detach().abs()
        count = round(self.pruned * sizes.numel())
        gone = torch.zeros_like(sizes, dtype=torch.bool).flatten()
        gone[sizes.flatten().argsort(stable=True)[:count]] = True
        return weight.masked_fill(gone.view_as(weight), 0.0)

    def __call__(self, weight: Tensor, levels: Tensor, bits: int) -> Tensor:
        """Of the weights, for these levels of the interval 1."""
        sigma = spread(weight, by_channel=self.by_channel)
        if not self.alpha and self.pruned and not self.by_size and bits < SPARED_BITS:
            self.alpha = pruning_alpha(weight, sigma, levels, self.pruned)
        self.alpha = self.alpha or best_alpha(weight, sigma, levels)
        return self.alpha * sigma


class StdWeightQuantizer(WeightQuantizer):
    """Uniform levels of the interval α σ; the highest code is left out, so that 0 is in the middle."""

    def __init__(self, bits: int, **chosen: Any) -> None:
        super().__init__(bits)
        self.highest = 2**bits - 2
        self.interval_of = Interval(**chosen)

    def fit(self, weight: Tensor) -> None:
        weight = self.interval_of.kept(weight, self.bits)
        interval = self.interval_of(weight, uniform_levels(self.bits), self.bits)
        half = self.highest // 2
        scale = (interval / half).view(-1, *[1] * (weight.dim() - 1)).clone()
        self.place(Grid(scale, torch.full_like(scale, half), 0, self.highest), weight)


class LogWeightCodes(WeightCodes):
    """Levels at 0 and ± α σ 2^−e, each weight at the nearest by value.

    (A rounding of the logarithm, as in a shift, would take the geometric middle for the border.)
    """

    interval: Tensor  # [channels, 1]: α σ

    def __init__(self, bits: int, **chosen: Any) -> None:
        super().__init__()
        self.bits = bits
        self.interval_of = Interval(**chosen)

    def fit(self, weight: Tensor) -> None:
        weight = self.interval_of.kept(weight, self.bits)
        interval = self.interval_of(weight, log_levels(self.bits), self.bits)
        self.register_buffer("interval", interval.clone())
        self.take(self.nearest(weight.detach()))

    def levels(self) -> Tensor:
        return log_levels(self.bits).to(self.interval) * self.interval

    def side_bits(self) -> int:
        """One float32 interval for each channel that has its own."""
        return 32 * (len(self.interval) if self.interval_of.by_channel else 1)

    def stored(self) -> dict[str, Tensor]:
        return {"codes": self.codes, "interval": self.interval}

    def restore(self, state: dict[str, Tensor]) -> None:
        for name in ("codes", "interval"):
            self.register_buffer(name, state[name])
