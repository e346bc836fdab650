"""Levels, positions and histograms of codes, each value by itself in a loop."""

import bisect
import math

import numpy as np
import pytest
import torch

from engine.analysis.layers.codes import closeness, code_histogram, level_use
from engine.analysis.layers.tensors import beyond, pairs, shares


def some(channels, count, levels, seed=0):
    rng = torch.Generator().manual_seed(seed)
    at = (torch.rand(channels, levels, generator=rng) + 0.05).cumsum(1) - 1
    values = at[:, :1] + torch.randn(channels, count, generator=rng).abs() * 1.5 - 0.5
    codes = (values[:, :, None] - at[:, None]).abs().argmin(2)
    return values, at, codes


def position(value, levels):
    """At k on level k, between two in proportion, further out by the step at that end."""
    below = min(max(bisect.bisect_right(levels, value) - 1, 0), len(levels) - 2)
    return below + (value - levels[below]) / (levels[below + 1] - levels[below])


@pytest.mark.parametrize(
    ("levels", "most"), [(3, 64), (8, 64), (16, 5), (7, 3), (64, 64), (65, 64)]
)
def test_values_and_codes_are_counted_on_one_axis(levels, most):
    values, at, codes = some(3, 400, levels)
    found = code_histogram(values, at, codes, most=most)
    together = math.ceil(levels / most)
    taken = [0.0] * math.ceil(levels / together)
    for code in codes.flatten().tolist():
        taken[code // together] += 1 / codes.numel()
    assert found["taken"].tolist() == pytest.approx(taken, rel=1e-4)
    middles = [k * together + (together - 1) / 2 for k in range(len(taken))]
    assert found["codes"].tolist() == pytest.approx(middles)
    places = found["places"].numpy()
    bins = (levels + 1) * max(1, most // levels) // together
    edges = np.linspace(-1, levels, bins + 1)
    assert places == pytest.approx((edges[1:] + edges[:-1]) / 2, abs=1e-4)
    where = [
        min(max(position(v, row), -1), levels)
        for line, row in zip(values.tolist(), at.tolist(), strict=True) for v in line
    ]  # fmt: skip
    counts = np.histogram(where, edges)[0] / len(where)
    assert found["floats"].numpy() == pytest.approx(counts, abs=3 / len(where))


def test_closeness_is_that_of_a_loop_in_steps_of_the_channel():
    values, levels, codes = some(4, 200, 6)
    quantized = levels.gather(1, codes)
    errors, clipped = [], 0
    for line, row, given in zip(values.tolist(), levels.tolist(), quantized.tolist(), strict=True):
        step = (row[-1] - row[0]) / 5
        for v, q in zip(line, given, strict=True):
            errors.append(((v - q) / step) ** 2)
            low, high = row[0] - (row[1] - row[0]) / 2, row[-1] + (row[-1] - row[-2]) / 2
            clipped += v < low or v > high
    found = closeness(values, levels, quantized)
    assert found.clip_share == pytest.approx(clipped / values.numel())
    assert found.rmse_steps == pytest.approx(math.sqrt(sum(errors) / len(errors)), rel=1e-4)
    assert found.mse == pytest.approx(float((values - quantized).square().mean()), rel=1e-4)
    assert 0 < clipped < values.numel()


def test_exactly_half_a_step_outside_is_not_clipped():
    levels = torch.tensor([[0.1, 0.2, 0.4]])
    values = torch.tensor([[0.05, 0.5, 0.04, 0.51]])
    assert closeness(values, levels, values).clip_share == 0.5


def test_the_use_of_levels_is_counted_channel_by_channel():
    _, levels, codes = some(3, 50, 7, seed=2)
    found = level_use(codes, levels)
    entropies, dead = [], 0
    for row in codes.tolist():
        shares_of = [row.count(k) / 50 for k in range(7)]
        entropies.append(-sum(p * math.log2(p) for p in shares_of if p))
        dead += shares_of.count(0)
    assert found == pytest.approx((math.log2(7), sum(entropies) / 3, dead / 21))


def test_shares_of_pictures_are_those_of_numpy():
    rng = torch.Generator().manual_seed(1)
    a, b = torch.randn(2, 300, generator=rng)
    wanted = np.histogram(a.numpy(), 7, (-1.0, 2.0))[0] / 300
    assert shares(a, -1.0, 2.0, 7) == pytest.approx(wanted.tolist())
    assert shares(torch.zeros(0), 0.0, 1.0, 2) == [0, 0]
    found = pairs(a, b, 5)
    low, high = min(a.min(), b.min()), max(a.max(), b.max())
    counts = np.histogram2d(b.double(), a.double(), 5, [(float(low), float(high))] * 2)[0]
    assert found.counts == counts.astype(int).tolist()
    assert (found.low, found.high) == pytest.approx((float(low), float(high)))


def test_half_a_step_outside_of_the_levels_is_not_yet_beyond():
    levels = torch.tensor([0.0, 1.0, 3.0])
    assert beyond(torch.tensor([-0.5, 4.0]), levels) == 0
    assert beyond(torch.tensor([-0.51, 4.01, 1.0, 1.0]), levels) == 0.5
    assert beyond(torch.tensor([-9.0, 9.0]), levels[:2]) == 1
