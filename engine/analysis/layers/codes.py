"""What a quantizer does with its levels: how many it uses, what it clips, how near it comes.

Everywhere `values` is [channels, n], `levels` [channels, L] in rising order, and `codes` [channels, n]
the whole numbers that say which level each value has.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from engine.analysis.layers.errors import cosine

IDEAL_RMSE = math.sqrt(1 / 12)  # of a step: an error spread evenly over ± half a step; 0.289


class LevelUse(NamedTuple):
    """How a tensor's codes are spread over the levels of its channels."""

    level_bits: float  # log₂ of the number of levels there are
    entropy_bits: float  # Shannon's, averaged over channels: what the codes really carry
    dead_levels: float  # share of levels that no value of their channel takes, in [0, 1]


class Distinct(NamedTuple):
    """How many values the weights of a whole network have."""

    unique: int
    entropy_bits: (
        float  # Shannon's, of a weight: what a code of one codebook for all would need at best
    )


class Closeness(NamedTuple):
    """How near quantized values are to the values they stand for."""

    clip_share: float  # in [0, 1]: beyond the outermost level by more than half a step
    rmse_steps: float  # root mean squared error in (mean) steps of the channel; 0.289 is ideal
    cosine: float
    mse: float


def level_use(codes: Tensor, levels: Tensor) -> LevelUse:
    """The use that the codes make of the levels."""
    channels, count = levels.shape
    offsets = torch.arange(channels, device=codes.device)[:, None] * count
    flat = (codes.long() + offsets).flatten()
    seen = torch.bincount(flat, minlength=channels * count).view(channels, count)
    shares = seen.double() / seen.sum(1, keepdim=True)
    entropy = -torch.special.xlogy(shares, shares).sum(1) / math.log(2)
    return LevelUse(math.log2(count), float(entropy.mean()), float((seen == 0).double().mean()))


def distinct(weights: Iterable[Tensor]) -> Distinct:
    """The different values of all these weights together, and how evenly they occur."""
    flat = torch.cat([weight.detach().flatten() for weight in weights])
    _, counts = flat.unique(return_counts=True)
    shares = counts.double() / len(flat)
    entropy = -torch.special.xlogy(shares, shares).sum() / math.log(2)
    return Distinct(len(counts), float(entropy.clamp_min(0)))


def closeness(values: Tensor, levels: Tensor, quantized: Tensor) -> Closeness:
    """How near the quantized values [channels, n] are."""
    lowest, highest = levels[:, :1], levels[:, -1:]
    step = ((highest - lowest) / (levels.shape[1] - 1)).clamp_min(1e-12)
    below, above = lowest - _gap(levels, 0) / 2, highest + _gap(levels, -1) / 2
    slack = 1e-4 * step  # a value at exactly half a step is not clipped by float32's rounding
    clipped = (values < below - slack) | (values > above + slack)
    error = (values - quantized).double()
    return Closeness(
        clip_share=float(clipped.double().mean()),
        rmse_steps=float((error / step).square().mean().sqrt()),
        cosine=cosine(values, quantized),
        mse=float(error.square().mean()),
    )


def _gap(levels: Tensor, at: int) -> Tensor:
    return levels.diff(dim=1)[:, at, None]


def code_histogram(
    values: Tensor, levels: Tensor, codes: Tensor, *, most: int = 64
) -> dict[str, Tensor]:
    """All channels on one axis, that of the codes, where level k of a channel lies at k.

    `places` and `floats`: where values lie, from one code below the grid to one above it (what lies
    further out is counted at the ends), and the share of values there. `codes` and `taken`: each code
    and the share of values that took it. Neighbouring codes are counted together beyond `most`.
    """
    count = levels.shape[1]
    together = max(1, -(-count // most))
    fine = max(1, most // count)  # bins of a code: with few codes there is room to see between them
    positions = _positions(values, levels).clamp(-1, count)
    bins = (count + 1) * fine // together
    shares = torch.histc(positions.float().cpu(), bins, -1, count) / max(values.numel(), 1)
    width = (count + 1) / bins
    taken = torch.bincount(codes.flatten().long().cpu(), minlength=count).float() / max(
        codes.numel(), 1
    )
    padded = torch.nn.functional.pad(taken, (0, -count % together)).view(-1, together)
    return {
        "places": -1 + (torch.arange(bins) + 0.5) * width,
        "floats": shares,
        "codes": torch.arange(len(padded)) * together + (together - 1) / 2,
        "taken": padded.sum(1),
    }


def _positions(values: Tensor, levels: Tensor) -> Tensor:
    """Where values lie among the levels of their channel: at k on level k, between them in proportion."""
    last = levels.shape[1] - 1
    below = (torch.searchsorted(levels, values.contiguous(), right=True) - 1).clamp(0, last - 1)
    low, high = levels.gather(1, below), levels.gather(1, below + 1)
    return below + (values - low) / (high - low).clamp_min(1e-12)
