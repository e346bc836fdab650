"""The divergence over the whole range: by hand, and where clipping must cost."""

import math

import pytest
import torch

from engine.core.sampling.randomness import stream
from engine.quantization.grids.full_range_kl import full_range_kl_ratio, masked_divergence
from engine.quantization.grids.range_rules import activation_range


def test_by_hand():
    # 8 bins, a grid of 2 steps up to half of the axis: its 4 bins have centres at 0.25, 0.75, 1.25, 1.75
    # steps, so the levels 0, 1, 1, 2; what lies beyond goes to level 2.
    histogram = torch.tensor([4.0, 2.0, 6.0, 3.0, 1.0, 0.0, 0.0, 1.0], dtype=torch.double)
    p = [4 / 15, 2 / 15, 6 / 15, 3 / 15]
    q = [4 / 17, 4 / 17, 4 / 17, 5 / 17]
    wanted = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    assert masked_divergence(histogram, 0.5, 2) == pytest.approx(wanted)


def test_it_is_never_below_zero_and_zero_where_nothing_changes():
    rng = stream(0, "kl")
    for _ in range(20):
        histogram = torch.rand(64, generator=rng, dtype=torch.double)
        for ratio in (0.05, 0.3, 1.0):
            assert masked_divergence(histogram, ratio, 7) >= -1e-12
    assert masked_divergence(torch.ones(64, dtype=torch.double), 1.0, 64) == pytest.approx(0)


def test_a_far_lump_of_a_twentieth_is_kept():
    """Were what is clipped left out of both sides, the near lump alone would be met best."""
    near = torch.rand(9500, generator=stream(1, "kl")) * 0.2
    sizes = torch.cat([near, torch.full((500,), 1.0)])
    assert full_range_kl_ratio(sizes, 15) > 0.9


@pytest.mark.parametrize("count", [50, 500, 2000])
def test_of_few_values_most_are_kept(count):
    """Each bin holds one or none: what is clipped must not vanish because its bins were empty."""
    sizes = torch.rand(count, generator=stream(3, "kl"))
    ratio = full_range_kl_ratio(sizes / sizes.max(), 255)
    assert float((sizes / sizes.max() > ratio).float().mean()) < 0.1


def test_one_far_outlier_among_many_is_clipped():
    x = torch.randn(100_000, generator=stream(2, "kl")).abs().clamp_max(3)
    x[0] = 100.0
    step = activation_range(x, 4, rule="kl-full-range", percentile=99.0).scale
    assert step * 15 < 20


def test_zeros_alone_are_no_trouble():
    found = activation_range(torch.zeros(9), 4, rule="kl-full-range", percentile=99.0)
    assert found == (1.0, 0, 15)


def test_a_bin_whose_middle_is_the_end_of_the_grid_is_within_it():
    # A grid of 2 steps up to 4.5 of 8 bins: their middles are at 2/9, 6/9, 10/9, 14/9 and 2 steps.
    histogram = torch.tensor([4.0, 2.0, 6.0, 3.0, 5.0, 0.0, 0.0, 1.0], dtype=torch.double)
    p, q = [4 / 20, 2 / 20, 6 / 20, 3 / 20, 5 / 20], [4 / 21, 4 / 21, 4 / 21, 4.5 / 21, 4.5 / 21]
    wanted = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    assert masked_divergence(histogram, 4.5 / 8, 2) == pytest.approx(wanted)
