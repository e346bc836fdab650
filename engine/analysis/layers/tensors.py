"""Tensors of one layer made small enough to draw: shares on a grid's axis, reach by channel, maps, pairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

SAMPLE = 2**20  # values that a picture is made of, where there are more
TONES = 255  # steps of a feature map's scale


def channels_first(x: Tensor, axis: int) -> Tensor:
    """[channels, n]: all values of each channel, of x with its channels along `axis`."""
    return x.movedim(axis, 0).flatten(1)


def shares(values: Tensor, low: float, high: float, bins: int) -> list[float]:
    """The share of the values in each of `bins` equal bins from low to high; what is outside is in none."""
    counts = torch.histc(values.float().flatten(), bins, low, high)
    return (counts / max(1, values.numel())).tolist()


def beyond(values: Tensor, levels: Tensor) -> float:
    """The share of values, in [0, 1], further than half a step outside of the levels [L]: the clipped."""
    if len(levels) < 2:
        return 0.0
    low = levels[0] - (levels[1] - levels[0]) / 2
    high = levels[-1] + (levels[-1] - levels[-2]) / 2
    return float(((values < low) | (values > high)).float().mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """How many pairs (a, b) lie in each cell of a square: counts[row of b][column of a]."""

    low: float
    high: float
    counts: list[list[int]]

    def plain(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {"low": self.low, "high": self.high, "counts": self.counts}


def pairs(a: Tensor, b: Tensor, bins: int) -> Pairs:
    """Both tensors, of one shape, on one axis from the least to the greatest value of the two."""
    a, b = a.flatten().double(), b.flatten().double()
    low = float(torch.minimum(a.min(), b.min()))
    high = float(torch.maximum(a.max(), b.max()))
    width = (high - low) or 1.0
    column, row = (((x - low) / width * bins).long().clamp(0, bins - 1) for x in (a, b))
    counts = torch.bincount(row * bins + column, minlength=bins * bins).view(bins, bins)
    return Pairs(low=low, high=low + width, counts=counts.tolist())


def as_maps(y: Tensor, axis: int, side: int) -> Tensor | None:
    """[n, channels, h, w] of a layer's output, at most `side` wide and high (averaged); None without a plane.

    Tokens [n, t, channels] are put back where they lie in the image, where t, or t − 1 behind a token of
    the class, is a square.
    """
    if y.dim() == 3 and axis in (-1, 2):
        tokens = y.shape[1] if isqrt(y.shape[1]) ** 2 == y.shape[1] else y.shape[1] - 1
        edge = isqrt(tokens)
        if edge < 2 or edge * edge != tokens:
            return None
        y = y[:, -tokens:].transpose(1, 2).unflatten(2, (edge, edge))
    if y.dim() != 4 or y.shape[2:].numel() < 2:
        return None
    smaller = (min(side, y.shape[2]), min(side, y.shape[3]))
    return y if smaller == y.shape[2:] else F.adaptive_avg_pool2d(y, smaller)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tones:
    """Maps as whole tones 0 .. 255 of each channel's own scale, low to high: [n, channels, h, w] uint8."""

    tones: Tensor
    low: list[float]
    high: list[float]


def tones(parts: Sequence[Tensor], *, about_zero: bool = False) -> list[Tones]:
    """Maps [n, channels, h, w] of several parts on one scale for each channel; else symmetric about zero."""
    joined = torch.cat(list(parts))
    low, high = joined.amin((0, 2, 3)), joined.amax((0, 2, 3))
    if about_zero:
        high = torch.maximum(high.abs(), low.abs())
        low = -high
    width = (high - low).clamp_min(torch.finfo(joined.dtype).tiny)[:, None, None]
    return [
        Tones(
            tones=((x - low[:, None, None]) / width * TONES)
            .round()
            .clamp(0, TONES)
            .to(torch.uint8),
            low=low.tolist(),
            high=high.tolist(),
        )
        for x in parts
    ]


def shift_share(wanted: Tensor, given: Tensor, axis: int) -> float:
    """The share, in [0, 1], of the squared error that is one constant for each channel: what a bias undoes.

    wanted, given: a layer's output in both networks, of one shape, with its channels along `axis`.
    """
    error = channels_first((given - wanted).double(), axis)
    whole = float(error.square().sum())
    return float(error.mean(1).square().sum()) * error.shape[1] / whole if whole > 0 else 0.0
