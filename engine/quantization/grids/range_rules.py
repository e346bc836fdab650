"""Where a uniform grid ends: what is clipped decides, at few bits, how fine the rest can be.

`mse` is the search of `grids.step_search`; the others are the classical rules beside it: nothing
clipped, a percentile, and the smallest Kullback-Leibler divergence of histograms (Migacz, "8-bit
inference with TensorRT", GTC 2017). For activations also the peak response, on average over images (He
et al., "Data-Free Quantization with Accurate Activation Clipping", arXiv:2204.04215): made for images
that excite the network as strongly as they can.

More bits do not always mean a smaller squared error; for `mse` and `min-max` no exception was found among
values spread without gaps. `kl` compares histograms and may clip more with more bits. Where `percentile` or
`peak` clips activations of both signs, the grid's lower end, which is one level further out than its upper
one, moves inwards with more bits; weights with far tails may lose a little by `percentile` too.
"""

import torch
from torch import Tensor

from engine.core.activation_peaks import Reduce, peak
from engine.core.sampling.samples import sampled
from engine.quantization.grids.full_range_kl import full_range_kl_ratio
from engine.quantization.grids.step_search import (
    CLIP_RATIOS,
    search_activation_grid,
    search_weight_grid,
)
from engine.quantization.grids.uniform import Grid, StepAndBounds, activation_grid, asymmetric

RULES = ("mse", "min-max", "percentile", "kl")
PEAKS: dict[str, Reduce] = {"peak": "mean-of-max", "peak-percentile": "percentile"}
FULL_RANGE_KL = "kl-full-range"
ACTIVATION_RULES = (*RULES, *PEAKS, FULL_RANGE_KL)
BINS = 2048
_LEAST_RATIO = 0.02  # below, a histogram of 2048 bins has too few left to be compared
_MAX_SORTED = 2**22  # values that a percentile is taken of


def weight_grid(weight: Tensor, bits: int, *, rule: str, percentile: float) -> Grid:
    """A grid for each output channel (dimension 0), codes in [0, 2^bits − 1], 0 always in the range.

    `percentile` leaves the (100 − percentile) / 2 % lowest and highest of each channel out. `kl` takes
    one clip ratio for the whole layer, from the weights of all channels relative to their channel's
    largest, as if all channels reached as far on both sides: one alone has too few for a histogram.
    """
    if rule == "mse":
        return search_weight_grid(weight, bits)
    flat = weight.detach().flatten(1)
    lowest = flat.amin(1, keepdim=True).clamp_max(0)
    highest = flat.amax(1, keepdim=True).clamp_min(0)
    if rule == "percentile":
        tail = (1 - percentile / 100) / 2
        lowest = flat.quantile(tail, 1, keepdim=True).clamp_max(0)
        highest = flat.quantile(1 - tail, 1, keepdim=True).clamp_min(0)
    elif rule == "kl":
        largest = torch.maximum(-lowest, highest).clamp_min(1e-12)
        ratio = kl_ratio((flat / largest).abs().flatten(), (2**bits - 1) / 2)
        lowest, highest = ratio * lowest, ratio * highest
    grid = asymmetric(lowest, highest, bits)
    shape = (-1,) + (1,) * (weight.dim() - 1)
    return Grid(grid.scale.view(shape), grid.zero_point.view(shape), 0, 2**bits - 1)


def activation_range(
    x: Tensor, bits: int, *, rule: str, percentile: float, zero_point: bool = False
) -> StepAndBounds:
    """The grid of the whole tensor [images, ...], with a zero point or without; see `activation_grid`.

    `percentile` is of the absolute values, so that a tensor of one sign keeps its zero. `peak` is the mean
    over images of each one's largest, which more images do not raise as they do that of `min-max`;
    `peak-percentile` that of each one's percentile. Each says how far from 0 values are kept.
    """
    if rule == "mse":
        return search_activation_grid(x, bits, zero_point=zero_point)
    x = x.detach().float()
    lowest, highest = float(x.min()), float(x.max())
    sizes = x.abs().flatten()
    largest = float(sizes.max())
    if largest == 0:
        return StepAndBounds(1.0, 0, 2**bits - 1)
    reach = largest
    if rule == "percentile":
        sample = sampled(sizes, _MAX_SORTED)
        rank = min(len(sample), max(1, round(percentile / 100 * len(sample))))
        # A tensor that is nearly all zeros has a percentile of 0, which is no range.
        reach = float(sample.kthvalue(rank).values) or largest
    elif rule in ("kl", FULL_RANGE_KL):
        steps = 2**bits - 1
        ratio = kl_ratio if rule == "kl" else full_range_kl_ratio
        reach = largest * ratio(sizes / largest, steps if lowest >= 0 else steps / 2)
    elif rule in PEAKS:
        reach = float(peak(x, PEAKS[rule], percentile / 100)) or largest
    lowest, highest = max(lowest, -reach), min(highest, reach)
    return activation_grid(lowest, highest, bits, zero_point=zero_point)


def kl_ratio(sizes: Tensor, steps: float) -> float:
    """The clip ratio whose quantized histogram is most like the clipped one; `sizes` in [0, 1].

    `steps`: how many steps of the grid the range is long, from 0 to where it clips. Of a grid of both signs
    that is half of 2^bits − 1, so that what is scored is the step that is taken.

    For each ratio, what lies beyond is folded into the last bin kept (p); the bins that share a level
    share their mass evenly among those of them that are not empty (q); the ratio with the smallest
    KL(p ‖ q) wins. Exact zeros are left out: every grid here holds them without error, and behind a
    ReLU they would outweigh all the rest.
    """
    present = sizes[sizes > 0]
    if not len(present):
        return 1.0
    histogram = torch.histc(present.float(), BINS, 0.0, 1.0).double().cpu()
    top = int(steps)  # the last code; a grid of both signs ends half a step behind it
    best = (float("inf"), 1.0)
    for ratio in CLIP_RATIOS:
        if ratio < _LEAST_RATIO:
            break
        kept = round(ratio * BINS)
        p = histogram[:kept].clone()
        p[-1] += histogram[kept:].sum()
        centres = (torch.arange(kept) + 0.5) / kept * steps
        level = centres.round().clamp_max(top).long()
        filled = (histogram[:kept] > 0).double()
        mass = torch.zeros(top + 1, dtype=torch.double).index_add_(0, level, histogram[:kept])
        count = torch.zeros(top + 1, dtype=torch.double).index_add_(0, level, filled)
        q = filled * (mass / count.clamp_min(1))[level]
        divergence = _divergence(p, q)
        if divergence < best[0]:
            best = (divergence, ratio)
    return best[1]


def _divergence(p: Tensor, q: Tensor) -> float:
    """KL(p ‖ q) of two histograms, each of its own total; a bin that only p fills counts as a tiny q."""
    if float(q.sum()) == 0:
        return float("inf")
    p, q = p / p.sum(), q / q.sum()
    shared = p > 0
    return float((p[shared] * (p[shared] / q[shared].clamp_min(1e-12)).log()).sum())
