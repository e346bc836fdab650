"""Grids: what holds for every tensor, and the search beside a plain loop."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from engine.quantization.grids.quantizers import ActivationQuantizer, WeightQuantizer
from engine.quantization.grids.step_search import (
    CLIP_RATIOS,
    search_activation_grid,
    search_weight_grid,
)
from engine.quantization.grids.uniform import Grid, activation_grid, asymmetric, on_even_levels
from engine.quantization.grids.weights.learned_basis import BasisWeightQuantizer

BITS = range(2, 9)


def test_what_is_stored_beside_the_codes_is_counted_in_bits():
    weight = torch.randn(5, 3, 3, 3)
    even, basis = WeightQuantizer(4), BasisWeightQuantizer(3)
    for quantizer in (even, basis):
        quantizer.fit(weight)
    assert even.side_bits() == 5 * (32 + 8)  # a float32 step and a zero point of 8 bits a channel
    assert basis.side_bits() == 5 * 3 * 32  # a float32 for each bit of a channel
    for x, zero_point, bits in (
        (weight, False, 32),
        (weight, True, 36),
        (weight.abs(), True, 32),
    ):
        grid = ActivationQuantizer(4, zero_point=zero_point)
        grid.fit(x)
        assert grid.side_bits() == bits


finite = st.floats(-100, 100, width=32).filter(lambda v: v == 0 or abs(v) > 1e-3)
weights = arrays("float32", st.tuples(st.integers(1, 4), st.integers(1, 12)), elements=finite)
bits_of = st.integers(min(BITS), max(BITS))
some = settings(max_examples=40, deadline=None)


def error(x, quantized):
    """The search's own measure, per channel."""
    return (x - quantized).abs().double().pow(2.4).mean(1)


@given(weights, bits_of)
@some
def test_quantizing_twice_changes_nothing(array, bits):
    weight = torch.from_numpy(array)
    grid = search_weight_grid(weight, bits)
    once = grid.quantize(weight)
    assert torch.equal(grid.quantize(once), once)
    assert torch.equal(grid.values(grid.codes(once)), once)


@given(weights, bits_of)
@some
def test_zero_stays_zero_and_the_zero_point_can_be_held(array, bits):
    weight = torch.from_numpy(array)
    grid = search_weight_grid(weight, bits)
    assert (grid.low, grid.high) == (0, 2**bits - 1)
    assert torch.equal(grid.quantize(torch.zeros_like(weight)), torch.zeros_like(weight))
    assert torch.equal(grid.zero_point, grid.zero_point.round())
    assert ((grid.zero_point >= grid.low) & (grid.zero_point <= grid.high)).all()
    assert (grid.scale > 0).all()


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("bits", BITS)
def test_a_channel_of_one_sign_keeps_its_zero_point_at_the_end_of_the_grid(sign, bits):
    weight = sign * (torch.rand(3, 50) + 2)  # far from zero, as depthwise filters can be
    grid = search_weight_grid(weight, bits)
    assert (grid.zero_point == (0 if sign > 0 else 2**bits - 1)).all()


@given(weights, bits_of)
@some
def test_inside_the_range_the_error_is_at_most_half_a_step(array, bits):
    weight = torch.from_numpy(array)
    grid = search_weight_grid(weight, bits)
    lowest, highest = grid.values(torch.tensor(0.0)), grid.values(torch.tensor(2.0**bits - 1))
    inside = (weight >= lowest) & (weight <= highest)
    off = (weight - grid.quantize(weight)).abs()
    assert (off <= grid.scale * (0.5 + 1e-4))[inside].all()
    assert torch.equal(grid.quantize(weight), grid.quantize(weight.clamp(lowest, highest)))


@given(weights, bits_of)
@some
def test_the_search_is_never_worse_than_half_a_step_of_the_full_range(array, bits):
    """So the bound halves with each bit; the error itself need not fall for every single tensor."""
    weight = torch.from_numpy(array)
    span = weight.amax(1).clamp_min(0) - weight.amin(1).clamp_max(0)
    half_step = span / (2**bits - 1) / 2
    off = error(weight, search_weight_grid(weight, bits).quantize(weight))
    assert (off <= (half_step * (1 + 1e-4)).double().pow(2.4) + 1e-12).all()


def test_more_bits_are_better_for_gaussian_channels():
    weight = torch.randn(8, 256)
    errors = [error(weight, search_weight_grid(weight, b).quantize(weight)) for b in BITS]
    for coarse, fine in itertools.pairwise(errors):
        assert (fine < coarse).all()


def test_more_bits_can_be_worse_where_few_levels_fit_exactly():
    """Why the property above is not stated for every tensor: 0, 1, 2, 3 are 2 bits exactly."""
    weight = torch.tensor([[0.0, 1.0, 2.0, 3.0]])
    assert torch.equal(search_weight_grid(weight, 2).quantize(weight), weight)
    assert error(weight, search_weight_grid(weight, 3).quantize(weight)) > 0


@given(weights, bits_of)
@some
def test_all_clip_ratios_are_tried_beside_a_plain_loop(array, bits):
    weight = torch.from_numpy(array)
    grid = search_weight_grid(weight, bits)
    got = error(weight, grid.quantize(weight))
    for channel, off in zip(weight, got, strict=True):
        assert off <= naive_error(channel, bits) * (1 + 1e-3) + 1e-12


def naive_error(channel, bits):
    """The best of 100 clip ratios, one weight at a time, in Python's own numbers."""
    low, high = min(0.0, float(channel.min())), max(0.0, float(channel.max()))
    levels = 2**bits - 1
    best = float("inf")
    for percent in range(1, 101):
        scale = percent / 100 * (high - low) / levels
        if scale == 0:
            return 0.0
        zero = min(max(round(-percent / 100 * low / scale), 0), levels)
        off = 0.0
        for value in channel.tolist():
            code = min(max(round(value / scale) + zero, 0), levels)
            off += abs(value - scale * (code - zero)) ** 2.4
        best = min(best, off / len(channel))
    return best


def test_clipping_pays_where_one_weight_lies_far_out():
    weight = torch.cat([torch.randn(1, 999) * 0.1, torch.tensor([[1.0]])], 1)
    grid = search_weight_grid(weight, 3)
    assert float(grid.scale) < 0.8 * float(weight.max() - weight.min()) / 7


def test_the_first_clip_ratio_wins_ties():
    assert CLIP_RATIOS[0] == 1.0
    assert len(CLIP_RATIOS) == 100
    assert min(CLIP_RATIOS) == 0.01


def test_of_two_ratios_of_one_error_the_wider_stays_in_a_large_layer_too():
    """One bit, -1 and a tiny h: the whole range ends at -1 - h, and 0.99 of it as far above -1."""
    weight = torch.full((1, 40_000), -1.0)
    weight[0, 0] = float.fromhex("0x1.4953940000000p-8")
    grids = [
        asymmetric(ratio * weight.amin(1), ratio * weight.amax(1), 1) for ratio in CLIP_RATIOS[:2]
    ]
    wide, narrow = (error(weight, grid.quantize(weight)) for grid in grids)
    assert wide == narrow
    assert float(search_weight_grid(weight, 1).scale) == float(grids[0].scale)


def test_a_channel_of_zeros_stays_zero():
    weight = torch.zeros(2, 5)
    weight[1] = torch.randn(5)
    grid = search_weight_grid(weight, 4)
    assert torch.equal(grid.quantize(weight)[0], torch.zeros(5))


def test_channels_do_not_know_of_each_other():
    weight = torch.randn(4, 3, 3, 3)
    together = search_weight_grid(weight, 3)
    assert together.scale.shape == (4, 1, 1, 1)
    for k in range(4):
        alone = search_weight_grid(weight[k : k + 1], 3)
        assert torch.equal(alone.scale[0], together.scale[k])
        assert torch.equal(alone.zero_point[0], together.zero_point[k])


def test_codes_and_values_by_hand():
    grid = Grid(torch.tensor(0.5), torch.tensor(1.0), 0, 3)
    x = torch.tensor([-9.0, -0.5, 0.1, 0.3, 0.9, 9.0])
    assert grid.codes(x).tolist() == [0, 0, 1, 2, 3, 3]
    assert grid.quantize(x).tolist() == [-0.5, -0.5, 0.0, 0.5, 1.0, 1.0]


# --- activations --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lowest", "bits", "bounds"),
    [(0.0, 4, (0, 15)), (-0.1, 4, (-8, 7)), (0.0, 2, (0, 3)), (-5.0, 8, (-128, 127))],
)
def test_activations_are_signed_only_where_something_is_negative(lowest, bits, bounds):
    assert activation_grid(lowest, 3.0, bits)[1:] == bounds


def naive_step_error(values, bits):
    """The least error of the 100 clip ratios, in Python's own numbers."""
    low, high = (0, 2**bits - 1) if min(values) >= 0 else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    largest = max(map(abs, values))
    span = largest if low == 0 else 2 * largest
    return min(
        step_error(values, percent / 100 * span / (2**bits - 1), low, high)
        for percent in range(1, 101)
    )


def step_error(values, scale, low, high):
    off = [abs(v - scale * min(max(round(v / scale), low), high)) ** 2.4 for v in values]
    return sum(off) / len(values)


@given(st.lists(finite, min_size=1, max_size=20), bits_of)
@some
def test_the_activation_search_finds_the_best_ratio(values, bits):
    x = torch.tensor(values)
    scale, low, high = search_activation_grid(x, bits)
    assert scale > 0
    if any(values):
        found = step_error(x.tolist(), scale, low, high)
        assert found <= naive_step_error(x.tolist(), bits) * (1 + 1e-3) + 1e-12


def test_activations_that_are_all_zero_have_a_step_all_the_same():
    assert search_activation_grid(torch.zeros(3, 4), 4) == (1.0, 0, 15)


def test_the_range_is_that_of_all_values_even_where_few_are_scored():
    x = torch.rand(2**20)
    x[1] = -1e-3  # one negative value, between those that are scored
    assert search_activation_grid(x, 4)[1:] == (-8, 7)


@pytest.mark.parametrize("signed", [True, False])
def test_the_range_that_is_shrunk_begins_at_the_largest_value(signed):
    """The scale itself, not only its error: each of the 100 ratios of the right range was tried."""
    for _ in range(10):
        x = torch.randn(200) if signed else torch.rand(200)
        found, low, high = search_activation_grid(x, 3)
        span = float(x.abs().max()) * (2 if signed else 1)
        scales = [percent / 100 * span / 7 for percent in range(1, 101)]
        best = min(scales, key=lambda scale: step_error(x.tolist(), scale, low, high))
        assert found == pytest.approx(best, rel=1e-5)


def test_a_zero_point_spends_the_levels_between_the_ends():
    """By hand: from −1 to 14 at 4 bits the step is 1 and one level lies below 0; without, half of them do."""
    assert activation_grid(-1.0, 14.0, 4, zero_point=True) == (1.0, -1, 14)
    assert activation_grid(-1.0, 14.0, 4) == (pytest.approx(28 / 15), -8, 7)
    assert activation_grid(0.0, 15.0, 4, zero_point=True) == (1.0, 0, 15)
    assert activation_grid(-15.0, -3.0, 4, zero_point=True) == (1.0, -15, 0)  # 0 stays a level


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_a_searched_zero_point_is_no_worse_where_values_lie_on_one_side(bits):
    x = torch.nn.functional.silu(3 * torch.randn(4000))
    errors = []
    for zero_point in (False, True):
        scale, low, high = search_activation_grid(x, bits, zero_point=zero_point)
        assert high - low == 2**bits - 1
        assert low <= 0 <= high
        errors.append(float((x - (x / scale).round().clamp(low, high) * scale).pow(2).mean()))
    assert errors[1] < errors[0]


def test_a_zero_point_of_values_above_0_changes_nothing():
    x = torch.randn(1000).relu()
    assert search_activation_grid(x, 3, zero_point=True) == search_activation_grid(x, 3)


@pytest.mark.parametrize("shape", [(4, 3, 3, 3), (17, 5), (3, 40_000)], ids=str)
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_ratios_tried_together_choose_the_grid_that_they_choose_one_by_one(shape, bits):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(bits))
    weight[0] = 0  # every ratio is as good: the widest range stays
    weight[1].abs_()
    flat, found = weight.flatten(1), search_weight_grid(weight, bits)
    for channel, row in enumerate(flat):
        best, least = None, torch.inf
        for ratio in CLIP_RATIOS:
            grid = asymmetric(ratio * row.min().clamp(max=0), ratio * row.max().clamp(min=0), bits)
            error = float((row - grid.quantize(row)).abs().pow(2.4).mean())
            if error < least:
                best, least = grid, error
        assert float(found.scale[channel]) == float(best.scale)
        assert float(found.zero_point[channel]) == float(best.zero_point)


@given(st.floats(1e-6, 1e3), bits_of, st.floats(0, 1), st.integers(0, 10_000))
@some
def test_the_fast_way_onto_even_levels_is_torchs_own_bit_for_bit(scale, bits, below, seed):
    low = -round(below * (2**bits - 1))
    high = low + 2**bits - 1
    codes = torch.randint(low - 3, high + 4, (400,), generator=torch.Generator().manual_seed(seed))
    halves = torch.arange(400) % 3 / 2  # on the levels, and in the middle between two
    x = (codes + halves) * torch.tensor(scale)
    got = on_even_levels(x, scale, low, high)
    assert torch.equal(got, torch.fake_quantize_per_tensor_affine(x, scale, 0, low, high))


def test_onto_even_levels_the_gradient_passes_inside_the_range():
    x = torch.tensor([-1.0, 0.4, 2.6, 9.0], requires_grad=True)
    on_even_levels(x, 1.0, 0, 3).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0, 1, 1, 0]


def test_what_is_no_number_is_not_made_a_level():
    got = on_even_levels(torch.tensor([float("nan"), 2.0]), 1.0, 0, 3)
    assert got.isnan().tolist() == [True, False]
