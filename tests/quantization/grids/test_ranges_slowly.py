"""Where grids end, against second implementations that go through values, ratios and levels one by one."""

import math

import numpy as np
import pytest
import torch

from engine.quantization.grids.full_range_kl import full_range_kl_ratio
from engine.quantization.grids.range_rules import activation_range, kl_ratio, weight_grid
from engine.quantization.grids.step_search import search_activation_grid, search_weight_grid

RATIOS = [k / 100 for k in range(100, 1, -1)]  # those that leave enough bins
BINS = 2048


def drawn(kind, count=3000, seed=0):
    """Values of both signs, with a few far out."""
    x = torch.randn(count, generator=torch.Generator().manual_seed(seed))
    return {"gaussian": x, "cubed": x**3, "near": 5 + 0.1 * x, "short": x[:40]}[kind]


# --- the smallest divergence --------------------------------------------------------------------


def heights(sizes):
    found = np.zeros(BINS)
    for size in sizes.tolist():
        if size > 0:
            found[min(int(size * BINS), BINS - 1)] += 1
    return found


def divergence(p, q):
    """KL(p ‖ q), each of its own total; what only p fills counts as a tiny q."""
    if q.sum() == 0:
        return math.inf
    p, q = p / p.sum(), q / q.sum()
    return float((p[p > 0] * np.log(p[p > 0] / np.maximum(q[p > 0], 1e-12))).sum())


def levels_of(bins, reach, steps):
    """The code of each bin's centre on a grid of so many steps up to the bin `reach`."""
    return np.minimum(np.round((np.arange(bins) + 0.5) / reach * steps), int(steps))


def slow_kl(sizes, steps):
    histogram, best = heights(sizes), (math.inf, 1.0)
    for ratio in RATIOS:
        kept = round(ratio * BINS)
        p, inside = histogram[:kept].copy(), histogram[:kept]
        p[-1] += histogram[kept:].sum()
        levels, q = levels_of(kept, kept, steps), np.zeros(kept)
        for level in range(int(steps) + 1):
            there = (levels == level) & (inside > 0)
            if there.any():
                q[there] = inside[there].sum() / there.sum()
        best = min(best, (divergence(p, q), ratio), key=lambda one: one[0])
    return best[1]


def slow_full_range(sizes, steps):
    histogram, best = heights(sizes), (math.inf, 1.0)
    for ratio in RATIOS:
        reach = ratio * BINS
        if 2 * histogram[: round(reach)].sum() < histogram.sum():  # more than half would be clipped
            continue
        levels = levels_of(BINS, reach, steps)
        within = (histogram > 0) & ((np.arange(BINS) + 0.5) / reach * steps <= steps)
        if not within.any():
            continue
        levels = np.minimum(levels, levels[within].max())  # what is clipped is not lost
        q = np.zeros(BINS)
        for level in range(int(steps) + 1):
            there = within & (levels == level)
            if there.any():
                q[there] = histogram[levels == level].sum() / there.sum()
        p = np.where(q > 0, histogram, 0)
        best = min(best, (divergence(p, q), ratio), key=lambda one: one[0])
    return best[1]


@pytest.mark.parametrize("steps", [1.5, 3, 7.5, 15])
@pytest.mark.parametrize("kind", ["gaussian", "cubed", "near", "short"])
@pytest.mark.parametrize(
    ("ratio", "slow"), [(kl_ratio, slow_kl), (full_range_kl_ratio, slow_full_range)]
)
def test_the_ratio_of_the_smallest_divergence_is_that_of_a_slow_search(ratio, slow, kind, steps):
    sizes = drawn(kind).abs()
    sizes = torch.cat([sizes / sizes.max(), torch.zeros(500)])  # exact zeros have no say
    assert ratio(sizes, steps) == slow(sizes, steps)


@pytest.mark.parametrize(
    ("ratio", "slow"), [(kl_ratio, slow_kl), (full_range_kl_ratio, slow_full_range)]
)
def test_no_ratio_below_a_fiftieth_is_tried(ratio, slow):
    near = torch.empty(20_000).exponential_(generator=torch.Generator().manual_seed(0)) * 0.002
    sizes = torch.cat([near.clamp_max(0.0095), torch.ones(1)])
    assert ratio(sizes, 7) == slow(sizes, 7) == 0.02
    assert ratio(torch.zeros(3), 7) == 1.0


# --- the rules ----------------------------------------------------------------------------------


def slow_grid(lowest, highest, bits):
    """(step, zero point) of 2^bits levels from the lowest to the highest, 0 among them."""
    levels = 2**bits - 1
    step = (highest - lowest) / levels
    return step, min(max(round(-lowest / step), 0), levels)


def slow_error(channel, step, zero, bits):
    off = channel - step * (np.clip(np.round(channel / step) + zero, 0, 2**bits - 1) - zero)
    return (np.abs(off) ** 2.4).mean()


def slow_range(rule, weight, channel, bits, percentile):
    lowest, highest = min(channel.min(), 0), max(channel.max(), 0)
    if rule == "percentile":
        ends = np.quantile(channel, [(1 - percentile / 100) / 2, (1 + percentile / 100) / 2])
        return min(ends[0], 0), max(ends[1], 0)
    ratio = 1.0
    if rule == "kl":
        relative = np.concatenate([row / np.abs(row).max() for row in weight])
        ratio = slow_kl(torch.from_numpy(np.abs(relative)).float(), (2**bits - 1) / 2)
    if rule == "mse":
        grids = [
            (k / 100, slow_grid(k / 100 * lowest, k / 100 * highest, bits))
            for k in range(100, 0, -1)
        ]
        ratio = min(grids, key=lambda one: slow_error(channel, *one[1], bits))[0]
    return ratio * lowest, ratio * highest


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
@pytest.mark.parametrize("rule", ["min-max", "percentile", "kl", "mse"])
def test_each_rule_s_grid_of_weights_is_that_of_a_slow_second_implementation(rule, bits):
    weight = torch.stack([drawn("gaussian", 600), drawn("cubed", 600), drawn("near", 600)])
    weight = torch.cat([weight, -weight[2:]]).double().view(4, 6, 10, 10)
    grid = weight_grid(weight, bits, rule=rule, percentile=90.0)
    assert grid.scale.shape == grid.zero_point.shape == (4, 1, 1, 1)
    assert (grid.low, grid.high) == (0, 2**bits - 1)
    rows = weight.flatten(1).numpy()
    for k, channel in enumerate(rows):
        step, zero = slow_grid(*slow_range(rule, rows, channel, bits, 90.0), bits)
        assert float(grid.scale[k]) == pytest.approx(step)
        assert int(grid.zero_point[k]) == zero


@pytest.mark.parametrize("bits", [2, 3])
def test_of_weights_kl_scores_half_of_a_grid_s_steps(bits):
    """A channel reaches as far on both sides, so from 0 to its end there are half of them: 1.5 at 2 bits."""
    weight = drawn("gaussian", 6000, seed=12).view(2, 3000)
    sizes = (weight / weight.abs().amax(1, keepdim=True)).abs().flatten()
    steps = 2 ** (bits - 1) - 0.5
    assert slow_kl(sizes, steps) not in (slow_kl(sizes, steps - 0.5), slow_kl(sizes, steps + 0.5))
    grid = weight_grid(weight, bits, rule="kl", percentile=99.0)
    spread = weight.amax(1) - weight.amin(1)
    wanted = slow_kl(sizes, steps) * spread / (2 * steps)
    assert grid.scale.flatten().tolist() == pytest.approx(wanted.tolist())


def slow_reach(rule, x, steps, percentile):
    sizes = x.abs().flatten()
    largest = float(sizes.max())
    if rule == "percentile":
        return sorted(sizes.tolist())[round(percentile / 100 * len(sizes)) - 1]
    if rule in ("kl", "kl-full-range"):
        slow = slow_kl if rule == "kl" else slow_full_range
        return largest * slow(sizes / largest, steps)
    if rule == "peak":
        return sum(float(image.abs().max()) for image in x) / len(x)
    if rule == "peak-percentile":
        each = [sorted(image.abs().flatten().tolist()) for image in x]
        return sum(one[round(percentile / 100 * len(one)) - 1] for one in each) / len(x)
    return largest


@pytest.mark.parametrize("kind", ["both signs", "above 0", "mostly above 0"])
@pytest.mark.parametrize("zero_point", [False, True])
@pytest.mark.parametrize(
    "rule", ["min-max", "percentile", "kl", "kl-full-range", "peak", "peak-percentile"]
)
def test_each_rule_s_range_of_inputs_is_that_of_a_slow_second_implementation(
    rule, zero_point, kind
):
    bits, x = 3, drawn("cubed", 2400, seed=3).view(8, 3, 10, 10)
    x = {"above 0": x.abs(), "both signs": x, "mostly above 0": x.clamp_min(-0.5)}[kind]
    step, low, high = activation_range(x, bits, rule=rule, percentile=90.0, zero_point=zero_point)
    lowest, highest = float(x.min()), float(x.max())
    reach = slow_reach(rule, x, 7 if lowest >= 0 else 3.5, 90.0)
    lowest, highest = max(lowest, -reach), min(highest, reach)
    if lowest >= 0:
        assert (low, high) == (0, 7)
        assert step == pytest.approx(highest / 7)
    elif zero_point:
        assert step == pytest.approx((highest - lowest) / 7)
        assert abs(low - lowest / step) <= 0.5 + 1e-6
        assert high == low + 7
    else:
        assert (low, high) == (-4, 3)
        assert step == pytest.approx(2 * max(-lowest, highest) / 7)


# --- the search ---------------------------------------------------------------------------------


def test_a_hundredth_of_the_range_is_tried():
    """Of values at 0.01 and one at 1, the smallest grid of one step holds all but the one."""
    x = torch.full((1, 70_000), 0.01)
    x[0, 0] = 1.0
    assert float(search_weight_grid(x, 1).scale) == pytest.approx(0.01)


def test_the_first_of_equal_ratios_is_kept_by_weights_and_inputs():
    """Values of one size at 2 bits: the whole range holds them exactly, and two thirds of it do too."""
    x = torch.full((1, 8), 3.0)
    assert float(search_weight_grid(x, 2).scale) == 1.0
    assert search_activation_grid(x, 2).scale == 1.0
