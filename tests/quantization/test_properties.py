"""What is true of every quantizer, whatever the numbers: codes on the grid, few of them, settled at once."""

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.quantization.grids.alphabet import AlphabetQuantizer
from engine.quantization.grids.level_sets import level_values
from engine.quantization.grids.quantizers import ActivationQuantizer, WeightQuantizer
from engine.quantization.grids.range_rules import ACTIVATION_RULES, RULES
from engine.quantization.grids.rounding_borders import BorderQuantizer
from engine.quantization.grids.weights.learned_basis import (
    BasisActivationQuantizer,
    BasisWeightQuantizer,
)

WEIGHTS = {
    **{rule: partial(WeightQuantizer, rule=rule) for rule in RULES},
    "basis": BasisWeightQuantizer,
    "strict alphabet": partial(AlphabetQuantizer, strict=True, radius=1.16),
}
INPUTS = {
    **{rule: partial(ActivationQuantizer, rule=rule) for rule in ACTIVATION_RULES},
    "basis": BasisActivationQuantizer,
    "borders": BorderQuantizer,
}
every_weight = pytest.mark.parametrize("make", WEIGHTS.values(), ids=WEIGHTS)
every_input = pytest.mark.parametrize("make", INPUTS.values(), ids=INPUTS)
tensors = st.builds(
    lambda seed, kind, scale: scale * drawn(kind, seed),
    seed=st.integers(0, 2**16),
    kind=st.sampled_from(("gaussian", "heavy", "one outlier", "constant", "zeros", "one sign")),
    scale=st.sampled_from((1e-3, 1.0, 50.0)),
)
some = settings(max_examples=8, deadline=None)


def drawn(kind, seed):
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(3, 4, 3, 3, generator=rng)
    if kind == "heavy":
        return x.sign() * torch.empty_like(x).exponential_(generator=rng).square()
    if kind == "one outlier":
        x[0, 0, 0, 0] = 30
    if kind == "one sign":
        return x.abs() + 0.1
    return {"constant": torch.full_like(x, 0.7), "zeros": torch.zeros_like(x)}.get(kind, x)


@every_weight
@given(weight=tensors, bits=st.integers(2, 8))
@some
def test_weights_take_at_most_so_many_values_a_channel_each_the_nearest_and_settled(
    make, weight, bits
):
    quantizer = make(bits)
    quantizer.fit(weight)
    levels, rounded = quantizer.levels(), quantizer(weight)
    assert levels.shape[1] <= 2**bits
    assert int(quantizer.codes.max()) < levels.shape[1]
    assert all(len(channel.unique()) <= 2**bits for channel in rounded)
    off = (weight - rounded).flatten(1).abs()
    nearest = (weight.flatten(1)[..., None] - levels[:, None]).abs().amin(-1)
    assert (off <= nearest + 1e-5 * levels.abs().amax(1, keepdim=True)).all()
    inside = (weight.flatten(1) >= levels[:, :1]) & (weight.flatten(1) <= levels[:, -1:])
    half = levels.diff(dim=1).amax(1, keepdim=True) / 2
    assert (off <= half * (1 + 1e-4) + 1e-12)[inside].all()
    again = level_values(quantizer.nearest(rounded).flatten(1), levels).view(rounded.shape)
    assert torch.equal(again, rounded)


@every_input
@given(x=tensors, bits=st.integers(2, 8), positive=st.booleans())
@some
def test_inputs_take_at_most_so_many_values_within_half_a_step_and_settled(make, x, bits, positive):
    x = x.relu() if positive else x
    quantizer = make(bits)
    rounded = quantizer(x)
    levels = quantizer.levels()[0]
    assert len(levels) <= 2**bits
    assert len(rounded.unique()) <= 2**bits
    close = 1e-5 * levels.abs().max()
    assert ((rounded.flatten()[:, None] - levels).abs().amin(1) <= close).all()
    inside = (x >= levels[0]) & (x <= levels[-1])
    half = levels.diff().max() / 2
    assert ((x - rounded).abs() <= half * (1 + 1e-4) + close)[inside].all()
    outside = x[~inside]
    ends = torch.where(outside > levels[-1], levels[-1], levels[0])
    assert torch.allclose(rounded[~inside], ends, atol=float(close))
    assert torch.allclose(quantizer(rounded), rounded, atol=float(close))


# --- more bits -----------------------------------------------------------------------------------
# For any tensor at all more bits are no promise: 0, 1, 2, 3 are met exactly by 2 bits, and not by 3. For
# values spread without gaps each bit more was found to help, in the whole tensor, wherever the range is the
# whole one or the one of the smallest error: not proven, but without exception in some 500 tensors a rule
# (basis: 120). Where a rule clips by something else than the error it is not so: what fails is kept below.

UNCLIPPED_WEIGHTS = {name: WEIGHTS[name] for name in ("mse", "min-max", "basis", "strict alphabet")}
UNCLIPPED_INPUTS = {name: INPUTS[name] for name in ("mse", "min-max", "basis", "borders")}
CLIPPED_WEIGHT = partial(WeightQuantizer, rule="percentile", percentile=99.0)
CLIPPED_INPUTS = {
    "percentile 99": partial(ActivationQuantizer, rule="percentile", percentile=99.0),
    "peak": INPUTS["peak"],
    "peak-percentile": INPUTS["peak-percentile"],
}


def spread(kind, seed):
    """So many values that they lie without gaps, [3, 16, 6, 6]."""
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(3, 16, 6, 6, generator=rng)
    if kind == "gaussian":
        return x
    sizes = torch.empty_like(x).exponential_(generator=rng)
    return x.sign() * (sizes if kind == "laplace" else sizes.square())


def errors(make, x, widths=None):
    """The mean squared error of the whole tensor at each number of bits.

    A basis is learned by looking at all of its sums: of 6 bits on it takes seconds and shows nothing else.
    """
    found = []
    most = 5 if make in (WEIGHTS["basis"], INPUTS["basis"]) else 8
    for bits in widths or range(2, most + 1):
        quantizer = make(bits)
        quantizer.fit(x)
        found.append(float((x - quantizer(x)).double().square().mean()))
    return found


without_gaps = st.builds(
    spread, kind=st.sampled_from(("gaussian", "laplace", "heavy")), seed=st.integers(0, 2**16)
)
# Of exponential tails, one in a thousand is a little worse with a bit more: kind "laplace", seed 18841.
without_far_tails = st.builds(spread, kind=st.just("gaussian"), seed=st.integers(0, 2**16))


@pytest.mark.parametrize("make", UNCLIPPED_WEIGHTS.values(), ids=UNCLIPPED_WEIGHTS)
@given(weight=without_gaps)
@some
def test_a_bit_more_is_never_worse_for_weights_spread_without_gaps(make, weight):
    found = errors(make, weight)
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("make", UNCLIPPED_INPUTS.values(), ids=UNCLIPPED_INPUTS)
@given(x=without_gaps, positive=st.booleans())
@some
def test_a_bit_more_is_never_worse_for_inputs_spread_without_gaps(make, x, positive):
    found = errors(make, x.relu() if positive else x)
    assert found == sorted(found, reverse=True)


@given(weight=without_far_tails)
@some
def test_a_bit_more_is_never_worse_for_weights_clipped_at_a_percentile_if_tails_are_near(weight):
    found = errors(CLIPPED_WEIGHT, weight)
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("make", CLIPPED_INPUTS.values(), ids=CLIPPED_INPUTS)
@given(x=without_gaps)
@some
def test_a_bit_more_is_never_worse_behind_a_relu_where_a_rule_clips(make, x):
    found = errors(make, x.relu())
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("make", CLIPPED_INPUTS.values(), ids=CLIPPED_INPUTS)
def test_a_bit_more_may_be_worse_for_both_signs_where_a_rule_clips(make):
    """The grid has one level more below 0 than above: with more bits its lower end moves inwards."""
    x = drawn("heavy", 1007)
    x[0, 0, 0, 0] = -30  # what lies below is cut off harder
    few, more = errors(make, x, widths=(5, 6))
    assert more > few


def test_a_bit_more_may_be_worse_for_weights_with_far_tails_clipped_at_a_percentile():
    few, more = errors(CLIPPED_WEIGHT, spread("heavy", 26), widths=(7, 8))
    assert more > few


def test_a_bit_more_may_be_much_worse_by_kl_which_compares_histograms_and_may_clip_more():
    weight = torch.randn(8, 16, 5, 5, generator=torch.Generator().manual_seed(14)) ** 3
    few, more = errors(WEIGHTS["kl"], weight, widths=(7, 8))
    assert more > 1.5 * few
    noise = 0.1 * drawn("gaussian", 35).repeat(1, 4, 1, 1)
    few, more = errors(INPUTS["kl"], drawn("heavy", 34).repeat(1, 4, 1, 1) + noise, widths=(7, 8))
    assert more > 10 * few
