"""The rules that say where a grid ends."""

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.quantization.grids.range_rules import (
    ACTIVATION_RULES,
    RULES,
    activation_range,
    kl_ratio,
    weight_grid,
)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("rule", RULES)
@given(seed=st.integers(0, 2**16), bits=st.integers(2, 8), scale=st.floats(1e-3, 1e3))
@settings(max_examples=8, deadline=None)
def test_any_rule_makes_a_grid_of_its_bits_with_errors_of_half_a_step(rule, seed, bits, scale):
    weight = scale * normal(3, 5, 3, 3, seed=seed)
    grid = weight_grid(weight, bits, rule=rule, percentile=99.0)
    codes = grid.codes(weight)
    assert 0 <= int(codes.min()) <= int(codes.max()) < 2**bits
    assert torch.equal(grid.zero_point, grid.zero_point.round())
    values = grid.values(codes)
    assert torch.equal(grid.codes(values), codes)
    inside = (codes > 0) & (codes < 2**bits - 1)
    error = (weight - values).abs() / grid.scale
    assert float(error[inside].max() if inside.any() else 0) <= 0.5 + 1e-3


def test_min_max_clips_no_weight():
    weight = normal(4, 50)
    grid = weight_grid(weight, 4, rule="min-max", percentile=99.0)
    assert float(((weight - grid.quantize(weight)).abs() / grid.scale).max()) <= 1.0 + 1e-3
    reach = grid.scale * 15
    spread = weight.amax(1, keepdim=True) - weight.amin(1, keepdim=True)
    assert torch.allclose(reach, spread)


def test_min_max_takes_the_largest_activation_into_its_range():
    x = normal(1000)
    scale, low, high = activation_range(x, 4, rule="min-max", percentile=99.0)
    assert (low, high) == (-8, 7)
    assert scale * 15 == pytest.approx(2 * float(x.abs().max()))
    scale, low, high = activation_range(x.abs(), 4, rule="min-max", percentile=99.0)
    assert (low, high) == (0, 15)
    assert scale * 15 == pytest.approx(float(x.abs().max()))


def test_a_percentile_leaves_out_the_share_that_it_names():
    x = torch.arange(1, 1001).float()
    scale, _, high = activation_range(x, 8, rule="percentile", percentile=90.0)
    assert scale * high == pytest.approx(900)
    weight = torch.arange(-500, 501).float().view(1, -1)
    grid = weight_grid(weight, 8, rule="percentile", percentile=80.0)
    assert float(grid.scale * 255) == pytest.approx(800, rel=1e-3)


def test_a_percentile_of_nearly_all_zeros_still_has_a_range():
    x = torch.zeros(1000)
    x[0] = 3.0
    assert activation_range(x, 4, rule="percentile", percentile=99.0)[0] == pytest.approx(3 / 15)


def test_one_far_outlier_is_clipped_by_kl_and_not_by_min_max():
    x = torch.cat([normal(100_000).abs().clamp_max(3), torch.tensor([100.0])])
    wide = activation_range(x, 4, rule="min-max", percentile=99.0)[0]
    narrow = activation_range(x, 4, rule="kl", percentile=99.0)[0]
    assert narrow * 15 < 10 < wide * 15


def test_kl_keeps_the_whole_of_an_even_spread():
    assert kl_ratio(torch.linspace(0.001, 1, 20_000), 15) > 0.9


def divergence(sizes: torch.Tensor, step: float, high: int, bins: int = 2048) -> float:
    """KL(p ‖ q) as the rule means it, written anew: of the codes that the grid itself gives to sizes.

    The range ends where the next code would begin, but not behind the largest size.
    """
    largest = float(sizes.max())
    heights = torch.histc(sizes[sizes > 0], bins, 0.0, largest).double()
    centres = (torch.arange(bins) + 0.5) / bins * largest
    end = min(bins, round((high + 0.5) * step / largest * bins))
    codes = (centres[:end] / step).round().clamp_max(high)
    p = heights[:end].clone()
    p[-1] += heights[end:].sum()
    q = torch.zeros_like(p)
    for code in codes.unique():
        there = (codes == code) & (heights[:end] > 0)
        q[there] = heights[:end][codes == code].sum() / max(int(there.sum()), 1)
    p, q = p / p.sum(), q / q.sum()
    kept = p > 0
    return float((p[kept] * (p[kept] / q[kept].clamp_min(1e-12)).log()).sum())


@pytest.mark.parametrize("bits", [2, 3, 4])
@pytest.mark.parametrize("shift", [0.0, 0.7])
def test_the_step_that_kl_takes_is_the_best_by_the_codes_that_it_gives(bits, shift):
    x = normal(100_000) + shift
    step, low, high = activation_range(x, bits, rule="kl", percentile=99.0)
    assert low == -high - 1
    largest = float(x.abs().max())
    tried = [k / 100 * 2 * largest / (2**bits - 1) for k in range(5, 101)]
    best = min(divergence(x.abs(), one, high) for one in tried)
    assert divergence(x.abs(), step, high) <= best * 1.02


@pytest.mark.parametrize("bits", [2, 3])
def test_kl_scores_weights_by_the_step_that_a_symmetric_channel_gets(bits):
    weight = normal(1, 50_000)
    weight[0, 0], weight[0, 1] = 5.0, -5.0
    grid = weight_grid(weight, bits, rule="kl", percentile=99.0)
    step, _, _ = activation_range(weight, bits, rule="kl", percentile=99.0)
    assert float(grid.scale) == pytest.approx(step)


@pytest.mark.parametrize("rule", RULES)
def test_zeros_alone_are_no_trouble(rule):
    assert activation_range(torch.zeros(9), 4, rule=rule, percentile=99.0) == (1.0, 0, 15)
    grid = weight_grid(torch.zeros(2, 9), 4, rule=rule, percentile=99.0)
    assert torch.equal(grid.quantize(torch.zeros(2, 9)), torch.zeros(2, 9))


@pytest.mark.parametrize(
    ("rule", "reach"), [("peak", (4 + 2) / 2), ("peak-percentile", (3 + 1) / 2)]
)
def test_a_peak_is_the_mean_over_images_of_each_one_s_own(rule, reach):
    x = torch.tensor([[1.0, 2.0, 3.0, 4.0], [2.0, 0.5, 1.0, 0.0]])
    scale, low, high = activation_range(x, 2, rule=rule, percentile=75.0)
    assert (low, high) == (0, 3)
    assert scale == pytest.approx(reach / 3)
    signed = torch.stack([x[0], -x[1]])
    assert activation_range(signed, 2, rule=rule, percentile=75.0)[0] == pytest.approx(
        2 * reach / 3
    )


def test_a_peak_does_not_grow_with_the_number_of_images_as_the_largest_does():
    x = normal(400, 50).abs()
    few, many = (
        [activation_range(x[:n], 4, rule=rule, percentile=99.0)[0] for rule in ("peak", "min-max")]
        for n in (40, 400)
    )
    assert many[0] == pytest.approx(few[0], rel=0.05)
    assert many[1] > 1.03 * few[1]


@pytest.mark.parametrize("rule", ACTIVATION_RULES)
@given(seed=st.integers(0, 2**16), bits=st.integers(2, 8), sign=st.booleans())
@example(seed=15698, bits=3, sign=False)  # of 60 values all but one were clipped
@settings(max_examples=8, deadline=None)
def test_any_rule_for_activations_keeps_to_its_bits_and_half_a_step(rule, seed, bits, sign):
    x = normal(4, 5, 6, seed=seed) if sign else normal(4, 5, 6, seed=seed).relu()
    scale, low, high = activation_range(x, bits, rule=rule, percentile=99.0)
    codes = (x / scale).round().clamp(low, high)
    assert high - low <= 2**bits - 1
    inside = (codes > low) & (codes < high)
    assert bool(inside.any())
    assert float(((x - codes * scale).abs() / scale)[inside].max()) <= 0.5 + 1e-3
