"""A clip ratio by Kullback-Leibler divergence over the whole range: our reading of CFWS's improved KL.

The classical rule (`range_search.kl_ratio`) compares two histograms of the range that is kept: in the
first what lies beyond is folded into the last bin, in the quantized one it is missing. Of CFWS's rule
(arXiv:2312.10588) only the divergence is visible: bins where either side is empty are left out, and each
side is normalised by its own total. What is compared is our reading: the histogram as it was, over the whole
axis, with the one after clipping and rounding, where what was clipped has gone to the last level.

Each side's total is taken over the bins that count. Taken over all, clipping nearly everything would give
a sum below 0, and win.
"""

import torch
from torch import Tensor

from engine.quantization.grids.step_search import CLIP_RATIOS

BINS = 2048
LEAST_RATIO = 0.02  # below, too few bins are left to be compared
LEAST_INSIDE = 0.5  # of the values: of few, those of one bin alone match themselves


def full_range_kl_ratio(sizes: Tensor, steps: float) -> float:
    """The ratio with the least divergence; `sizes` in [0, 1], `steps` as `range_search.kl_ratio` has it.

    Exact zeros are left out: every grid holds them without error. A ratio that clips more than half of the
    values is none.
    """
    present = sizes[sizes > 0]
    if not len(present):
        return 1.0
    histogram = torch.histc(present.float(), BINS, 0.0, 1.0).double().cpu()
    inside = histogram.cumsum(0) / histogram.sum()
    ratios = [
        ratio
        for ratio in CLIP_RATIOS
        if ratio >= LEAST_RATIO and inside[round(ratio * BINS) - 1] >= LEAST_INSIDE
    ]
    return min(ratios, key=lambda ratio: masked_divergence(histogram, ratio, steps))


def masked_divergence(histogram: Tensor, ratio: float, steps: float) -> float:
    """KL(p ‖ q) of the histogram [bins] and of what a grid up to `ratio` of its axis makes of it.

    The mass of a level is shared evenly by those bins within the grid that go to it and are not empty; the
    last level has the mass of all that is clipped too. Where all of its own bins are empty, the last filled
    bin takes it: else, of few values, what is clipped would vanish from both sides.
    """
    top, bins = int(steps), len(histogram)
    filled = histogram > 0
    centres = (torch.arange(bins, dtype=torch.double) + 0.5) / (ratio * bins) * steps
    level = centres.round().clamp_max(top).long()
    within = (filled & (centres <= steps)).double()
    if not bool(within.any()):
        return float("inf")
    level = level.clamp_max(int(level[within > 0].max()))
    mass = torch.zeros(top + 1, dtype=torch.double).index_add_(0, level, histogram)
    count = torch.zeros(top + 1, dtype=torch.double).index_add_(0, level, within)
    q = within * (mass / count.clamp_min(1))[level]
    both = filled & (q > 0)
    p, q = histogram[both], q[both]
    p, q = p / p.sum(), q / q.sum()
    return float((p * (p / q).log()).sum())
