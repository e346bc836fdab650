"""What is true of every quantizer, whatever the numbers: codes on the grid, few of them, settled at once."""

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.quantization.alphabet import AlphabetQuantizer
from engine.quantization.basis import BasisActivationQuantizer, BasisWeightQuantizer
from engine.quantization.borders import BorderQuantizer
from engine.quantization.levels import level_values
from engine.quantization.quantizers import ActivationQuantizer, WeightQuantizer
from engine.quantization.ranges import ACTIVATION_RULES, RULES

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


@every_weight
@given(seed=st.integers(0, 2**16), kind=st.sampled_from(("gaussian", "heavy")))
@some
def test_more_bits_are_never_worse_for_weights_spread_without_gaps(make, seed, kind):
    """For any tensor at all it would be false: 0, 1, 2, 3 are met exactly by 2 bits, and not by 3."""
    weight = drawn(kind, seed).repeat(1, 4, 1, 1) + 0.1 * drawn("gaussian", seed + 1).repeat(
        1, 4, 1, 1
    )
    errors = []
    for bits in (2, 4, 6, 8):
        quantizer = make(bits)
        quantizer.fit(weight)
        errors.append(float((weight - quantizer(weight)).square().mean()))
    assert errors == sorted(errors, reverse=True)


@every_input
@given(
    seed=st.integers(0, 2**16), kind=st.sampled_from(("gaussian", "heavy")), positive=st.booleans()
)
@some
def test_more_bits_are_never_worse_for_inputs_spread_without_gaps(make, seed, kind, positive):
    x = drawn(kind, seed).repeat(1, 4, 1, 1) + 0.1 * drawn("gaussian", seed + 1).repeat(1, 4, 1, 1)
    x = x.relu() if positive else x
    quantizers = [make(bits) for bits in (2, 4, 6, 8)]
    rounded = [quantizer(x) for quantizer in quantizers]
    # Where a rule clips much, how much it clips on the side of the odd level depends on the bits.
    low = max(float(quantizer.levels().min()) for quantizer in quantizers)
    high = min(float(quantizer.levels().max()) for quantizer in quantizers)
    inside = (x >= low) & (x <= high)
    errors = [float((x - y)[inside].square().mean()) for y in rounded]
    assert errors == sorted(errors, reverse=True)
