"""Level sets: what holds for any of them, and what a learned basis adds."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.quantization.grids.level_sets import level_values, nearest_codes
from engine.quantization.grids.quantizers import ActivationQuantizer, WeightQuantizer
from engine.quantization.grids.weights.basis_start import even_basis
from engine.quantization.grids.weights.learned_basis import (
    TURNS,
    BasisActivationQuantizer,
    BasisWeightQuantizer,
    _turn,
    basis_error,
    basis_levels,
    learn_basis,
)
from engine.run.benches.effects.quantizers.students import SETUPS

WEIGHTS = (WeightQuantizer, BasisWeightQuantizer)
SHAPES = ("gaussian", "laplace", "bimodal", "constant")


def values(kind: str, seed: int, rows: int = 3, count: int = 200) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    normal = torch.randn(rows, count, generator=rng)
    if kind == "laplace":
        return normal.sign() * torch.empty(rows, count).exponential_(generator=rng)
    if kind == "bimodal":
        side = torch.randint(0, 2, (rows, count), generator=rng) * 2 - 1
        return 2 * side + 0.3 * normal
    return torch.full((rows, count), 0.7) if kind == "constant" else normal


anything = given(kind=st.sampled_from(SHAPES), seed=st.integers(0, 2**16), bits=st.integers(2, 5))


@pytest.mark.parametrize("cls", WEIGHTS)
@anything
@settings(max_examples=12, deadline=None)
def test_codes_lie_within_the_levels_and_rounding_twice_is_rounding_once(cls, kind, seed, bits):
    weight = values(kind, seed)
    quantizer = cls(bits)
    quantizer.fit(weight)
    levels = quantizer.levels()
    assert levels.shape == (3, 2**bits)
    assert (levels.diff() >= 0).all()
    assert int(quantizer.codes.max()) < 2**bits
    rounded = quantizer(weight)
    assert all(row.unique().numel() <= 2**bits for row in rounded)
    again = quantizer.nearest(rounded)
    assert torch.equal(level_values(again, levels), level_values(quantizer.codes, levels))
    assert quantizer.flipped(weight) == 0.0


@pytest.mark.parametrize("cls", WEIGHTS)
@anything
@settings(max_examples=12, deadline=None)
def test_no_level_is_nearer_than_the_one_taken(cls, kind, seed, bits):
    weight = values(kind, seed, count=30)
    quantizer = cls(bits)
    quantizer.fit(weight)
    distances = (weight[:, :, None] - quantizer.levels()[:, None]).abs().amin(-1)
    assert torch.allclose((weight - quantizer(weight)).abs(), distances, atol=1e-5)


@pytest.mark.parametrize("cls", WEIGHTS)
@pytest.mark.parametrize("kind", ["gaussian", "laplace", "bimodal"])
def test_more_bits_are_never_worse(cls, kind):
    weight = values(kind, 3)
    errors = []
    for bits in range(2, 9):
        quantizer = cls(bits)
        quantizer.fit(weight)
        errors.append(float((weight - quantizer(weight)).square().mean()))
    assert errors == sorted(errors, reverse=True)


def scanned(x, bits, signed, steps):
    """The smallest squared error of even levels, by trying steps up to twice the largest value."""
    best = torch.full((len(x),), torch.inf, dtype=torch.double)
    for k in range(1, steps + 1):
        step = 2 * x.abs().amax(1, keepdim=True) * k / steps
        if signed:
            reach = 2 ** (bits - 1) - 0.5
            codes = ((x / step).floor() + 0.5).clamp(-reach, reach)
        else:
            codes = (x / step).round().clamp(0, 2**bits - 1)
        best = best.minimum((x - step * codes).square().mean(1))
    return best


@pytest.mark.extended
@given(
    kind=st.sampled_from(SHAPES), seed=st.integers(0, 2**16), bits=st.integers(2, 5),
    count=st.sampled_from((3, 9, 30, 200)),
)  # fmt: skip
@settings(max_examples=8, deadline=None)
def test_no_even_levels_are_better_than_those_found_nor_than_a_learned_basis(
    kind, seed, bits, count
):
    data = values(kind, seed, count=count)
    for signed, x in ((True, data), (False, data.abs())):
        fine = scanned(x.double(), bits, signed, 1500) * (1 + 1e-5) + 1e-10
        even = basis_error(x, even_basis(x, bits, signed=signed), signed=signed)[:, 0]
        learned = basis_error(x, learn_basis(x, bits, signed=signed), signed=signed)[:, 0]
        assert (even <= fine).all()
        assert (learned <= fine).all()


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("signed", [True, False])
def test_of_many_bits_and_long_rows_no_even_levels_at_a_hundred_clip_ratios_are_better(
    kind, signed
):
    data = values(kind, 5, count=700)
    data = data if signed else data.abs()
    for bits in (6, 8):
        top = 2 ** (bits - 1) - 0.5 if signed else 2**bits - 1
        powers = 2.0 ** torch.arange(bits) * (0.5 if signed else 1.0)
        unit = data.abs().amax(1, keepdim=True) / top * powers
        tried = [basis_error(data, k / 100 * unit, signed=signed) for k in range(1, 101)]
        learned = basis_error(data, learn_basis(data, bits, signed=signed), signed=signed)
        assert (learned <= torch.cat(tried, 1).amin(1, keepdim=True) * (1 + 1e-5) + 1e-10).all()


@anything
@settings(max_examples=8, deadline=None)
def test_no_turn_makes_the_error_larger_and_the_course_ends_at_the_basis(kind, seed, bits):
    x, course = values(kind, seed), []
    basis = learn_basis(x, bits, signed=True, course=course)
    errors = [basis_error(x, one, signed=True) for one in course]
    assert all((after <= before).all() for before, after in pairwise(errors))
    assert torch.equal(course[-1], basis)


def k_means(row: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """Lloyd's algorithm in one dimension."""
    for _ in range(50):
        nearest = nearest_codes(row, centres)
        filled = torch.bincount(nearest, minlength=len(centres)) > 0
        sums = torch.zeros_like(centres).index_add_(0, nearest, row)
        means = sums / torch.bincount(nearest, minlength=len(centres)).clamp_min(1)
        centres = torch.where(filled, means, centres).sort().values
    return centres


@anything
@settings(max_examples=12, deadline=None)
def test_k_means_started_from_the_learned_levels_is_never_worse(kind, seed, bits):
    data = values(kind, seed, rows=1)
    levels = basis_levels(learn_basis(data, bits, signed=True), signed=True)[0]
    learned = (data[0] - levels[0][nearest_codes(data[0], levels[0])]).square().mean()
    centres = k_means(data[0], levels[0])
    free = (data[0] - centres[nearest_codes(data[0], centres)]).square().mean()
    assert free <= learned * (1 + 1e-4) + 1e-9


def test_the_gain_over_even_levels_is_small_for_gaussians_and_large_for_two_heaps():
    def gain(kind):
        x = values(kind, 0, rows=1, count=20_000)
        even = basis_error(x, even_basis(x, 2, signed=True), signed=True)
        return 1 - float(basis_error(x, learn_basis(x, 2, signed=True), signed=True) / even)

    assert gain("gaussian") < 0.05
    assert gain("bimodal") > 0.3


def test_levels_are_the_sums_of_the_basis_with_every_sign():
    levels, _ = basis_levels(torch.tensor([[1.0, 0.25]]), signed=True)
    assert levels.tolist() == [[-1.25, -0.75, 0.75, 1.25]]
    levels, _ = basis_levels(torch.tensor([[1.0, 0.25]]), signed=False)
    assert levels.tolist() == [[0.0, 0.25, 1.0, 1.25]]


def test_two_heaps_of_two_values_are_met_exactly():
    x = torch.tensor([[-3.0, -1.0, 1.0, 3.0] * 5])
    assert basis_error(x, learn_basis(x, 2, signed=True), signed=True).item() < 1e-6


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("cls", [ActivationQuantizer, BasisActivationQuantizer])
def test_an_activation_takes_nothing_but_its_levels_and_zero_stays_zero_behind_a_relu(cls, signed):
    x = values("laplace", 1, rows=8, count=64)
    x = x if signed else x.relu()
    quantizer = cls(3)
    out = quantizer(x)
    assert torch.isin(out, quantizer.levels()).all()
    assert out.unique().numel() <= 8
    if not signed:
        assert (out[x == 0] == 0).all()
    fresh = cls(3)
    fresh.restore(quantizer.stored())
    assert torch.equal(fresh(x), out)


@pytest.mark.parametrize(("bits", "most"), [(2, 1.04), (3, 1.03), (4, 1.12)])
def test_other_starts_end_hardly_lower_than_the_learned_basis(bits, most):
    x, rng = values("gaussian", 7, rows=16, count=144), torch.Generator().manual_seed(1)
    learned = basis_error(x, learn_basis(x, bits, signed=True), signed=True)
    ends = [learned]
    for _ in range(12):
        start = 2 * torch.rand(16, bits, generator=rng)
        ends.append(basis_error(x, _turn(x, start, TURNS, signed=True)[-1], signed=True))
    assert float((learned / torch.cat(ends, 1).amin(1, keepdim=True)).mean()) < most


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_learned_levels_are_held_against_as_many_even_ones(bits):
    """A grid with a level at 0 has one fewer, and would flatter what is learned."""
    x = values("laplace", 2)
    for turns in (0, 20):
        levels, _ = basis_levels(learn_basis(x, bits, signed=True, turns=turns), signed=True)
        assert [len(row.unique()) for row in levels] == [2**bits] * len(x)
        assert torch.allclose(levels, -levels.flip(1), atol=1e-6)
    control, method = (SETUPS[name] for name in ("lq-nets-even", "lq-nets"))
    assert (control.quantization, control.weight_bits) == (method.quantization, method.weight_bits)
    assert control.settings["turns"] == 0


def test_without_a_turn_even_levels_stay_even():
    x = values("laplace", 2)
    levels, _ = basis_levels(learn_basis(x, 3, signed=True, turns=0), signed=True)
    assert torch.allclose(levels.diff(), levels.diff()[:, :1].expand(3, 7), rtol=1e-4)
