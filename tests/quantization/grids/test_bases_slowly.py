"""Bases against slow second implementations: even levels, turns of least squares, which start wins."""

import itertools

import numpy as np
import pytest
import torch

from engine.quantization.grids.quantizers import FIT_IMAGES
from engine.quantization.grids.weights.basis_start import even_basis, even_starts
from engine.quantization.grids.weights.learned_basis import (
    BasisActivationQuantizer,
    BasisWeightQuantizer,
    _starts,
    _turn,
    basis_error,
    learn_basis,
)


def rows(count, channels=2, seed=0, power=1):
    x = (
        torch.randn(channels, count, generator=torch.Generator().manual_seed(seed)).double()
        ** power
    )
    return (x * torch.logspace(-1, 1, channels, dtype=torch.double).view(-1, 1)).float()


# --- even levels --------------------------------------------------------------------------------


def codes_of(sizes, step, bits, signed):
    """Of sizes at each step: the codes, [steps, n]."""
    ratio = sizes / np.reshape(step, (-1, 1))
    top = 2 ** (bits - 1) - 0.5 if signed else 2**bits - 1
    return np.minimum(np.floor(ratio) + 0.5 if signed else np.round(ratio), top)


def least_error(sizes, codes):
    """Of each row of codes, with the step that suits it best: (error, step)."""
    products, squares = codes @ sizes, (codes**2).sum(1)
    steps = products / np.maximum(squares, 1e-30)
    return ((sizes - steps[:, None] * codes) ** 2).sum(1), steps


def best_even(row, bits, signed):
    """The least mean squared error of even levels, by going through all the codes that there can be."""
    sizes = np.abs(row) if signed else np.maximum(row, 0)
    if signed and bits == 1:
        return least_error(sizes, np.full((1, len(row)), 0.5))[0][0] / len(row)
    changes = np.arange(1, 2 ** (bits - 1)) if signed else np.arange(1, 2**bits) - 0.5
    ends = np.unique(sizes[sizes > 0][:, None] / changes)
    tried = np.concatenate([[ends[0] / 2], (ends[1:] + ends[:-1]) / 2, [ends[-1] * 2]])
    errors, _ = least_error(sizes, codes_of(sizes, tried, bits, signed))
    return errors.min() / len(row)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize(("bits", "count"), [(1, 9), (2, 9), (3, 30), (4, 40), (6, 20)])
def test_no_even_levels_err_less_than_those_found(bits, count, signed):
    for power in (1, 3):
        x = rows(count, seed=bits, power=power)
        x = x if signed else x.abs()
        error = basis_error(x, even_basis(x, bits, signed=signed), signed=signed)[:, 0]
        wanted = [best_even(row, bits, signed) for row in x.double().numpy()]
        assert error.tolist() == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize(
    ("bits", "count", "signed", "seed"),
    [(5, 560, True, 11), (4, 560, False, 9), (6, 264, True, 9), (5, 264, False, 8)],
)
def test_all_codes_are_gone_through_where_they_are_few_or_rows_short(bits, count, signed, seed):
    """15 changes of one value's code, or 2^13 of a whole row's; of these rows a scan finds a worse step."""
    x = rows(count, channels=1, seed=seed)
    x = x if signed else x.abs()
    error = basis_error(x, even_basis(x, bits, signed=signed), signed=signed)
    assert float(error) == pytest.approx(best_even(x[0].double().numpy(), bits, signed), rel=1e-4)


@pytest.mark.parametrize(
    ("bits", "count", "signed"), [(6, 265, True), (5, 265, False), (7, 150, True), (3, 50, False)]
)
def test_starts_by_clip_ratios_are_those_of_a_slow_search(bits, count, signed):
    """One ends at the ratio that errs least; where codes change often, the other begins at the best fit."""
    x = rows(count, seed=4)
    x = x if signed else x.abs()
    best, clipped = even_starts(x, bits, signed=signed)
    powers = 2.0 ** np.arange(bits) * (0.5 if signed else 1.0)
    top = 2 ** (bits - 1) - 0.5 if signed else 2**bits - 1
    for k, row in enumerate(x.double().numpy()):
        sizes = np.abs(row)
        tried = np.arange(100, 0, -1) / 100 * sizes.max() / top
        codes = codes_of(sizes, tried, bits, signed)
        own = ((sizes - tried[:, None] * codes) ** 2).sum(1)
        assert clipped[k].tolist() == pytest.approx(
            (tried[own.argmin()] * powers).tolist(), rel=1e-4
        )
        errors, steps = least_error(sizes, codes)
        step = steps[errors.argmin()]
        for _ in range(4):
            step = least_error(sizes, codes_of(sizes, step, bits, signed))[1][0]
        if count * (2 ** (bits - 1) - 1 if signed else 2**bits - 1) > 2**13:
            assert best[k].tolist() == pytest.approx((step * powers).tolist(), rel=1e-4)


# --- turns --------------------------------------------------------------------------------------


def combinations(bits, signed):
    return np.array(
        list(itertools.product((-1, 1) if signed else (0, 1), repeat=bits)), dtype=float
    )


def nearest_signs(row, basis, signed):
    every = combinations(len(basis), signed)
    return every[np.abs(row[:, None] - every @ basis).argmin(1)]


def error_of(row, basis, signed):
    return ((row - nearest_signs(row, basis, signed) @ basis) ** 2).mean()


def slow_turns(row, basis, turns, signed):
    """The bases before the first turn and after each: least squares for the signs of the nearest levels."""
    course, error = [basis], error_of(row, basis, signed)
    for _ in range(turns):
        c = nearest_signs(row, basis, signed)
        ridge = 1e-4 * len(row) * np.eye(len(basis))  # towards the old basis
        fresh = np.linalg.solve(c.T @ c + ridge, c.T @ row + ridge @ basis)
        found = error_of(row, fresh, signed)
        fall, basis = max(error - found, 0.0), fresh if found < error else basis
        error = min(error, found)
        course.append(basis)
        if fall <= 1e-6 * error:
            break
    return course


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("bits", [2, 3])
@pytest.mark.parametrize("turns", [1, 100])
def test_turns_are_those_of_a_slow_second_implementation(bits, signed, turns):
    x = rows(60, channels=1, seed=bits).abs() if not signed else rows(60, channels=1, seed=bits)
    start = x.abs().mean() * torch.tensor([[0.4, 1.0, 2.3][:bits]])
    found = torch.cat(_turn(x, start, turns, signed=signed))
    wanted = slow_turns(x[0].double().numpy(), start[0].double().numpy(), turns, signed)
    assert len(found) == len(wanted) > 1
    assert np.allclose(found, np.stack(wanted), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_with_signs_it_also_begins_at_floats_that_grow_by_less_than_two(bits):
    x = rows(200)
    even, starts = even_starts(x, bits, signed=True), _starts(x, bits, signed=True)
    assert torch.equal(torch.stack(starts[:2]), torch.stack(even))
    for start, growth in zip(starts[2:], (1.2, 1.4, 1.6, 1.8), strict=True):
        assert torch.allclose(start[:, 1:] / start[:, :-1], torch.tensor(growth))
        assert torch.allclose(
            start.square().sum(1), x.square().mean(1)
        )  # so the levels' mean square
    assert len(_starts(x.abs(), bits, signed=False)) == 2


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("turns", [1, 2, 100])
def test_each_row_keeps_the_best_end_and_the_course_that_led_there(signed, turns):
    x, course = rows(80, channels=12, seed=4, power=3), []
    x = x if signed else x.abs()
    learned = learn_basis(x, 3, signed=signed, turns=turns, course=course)
    ends = [_turn(x, start, turns, signed=signed) for start in _starts(x, 3, signed=signed)]
    errors = torch.cat([basis_error(x, bases[-1], signed=signed) for bases in ends], 1)
    assert len(course) == max(map(len, ends))
    for row in range(12):
        best = ends[int(errors[row].argmin())]
        assert torch.equal(learned[row], best[-1][row])
        for k, bases in enumerate(course):
            assert torch.equal(bases[row], best[min(k, len(best) - 1)][row])
    assert len({int(k) for k in errors.argmin(1)}) > 1, "or the test shows less"


# --- quantizers ---------------------------------------------------------------------------------


def test_of_weights_the_course_of_the_channel_that_moved_most_is_kept():
    weight, course = rows(90, channels=6, seed=2, power=3), []
    quantizer = BasisWeightQuantizer(3)
    quantizer.fit(weight.view(6, 10, 3, 3))
    learned = learn_basis(weight, 3, signed=True, course=course)
    assert torch.equal(quantizer.basis, learned)
    moved = [float((course[-1][k] - course[0][k]).norm() / course[0][k].norm()) for k in range(6)]
    assert quantizer.shown == moved.index(max(moved))
    assert torch.equal(quantizer.course, torch.stack([bases[quantizer.shown] for bases in course]))
    for row, basis, rounded in zip(
        weight.double().numpy(), learned.numpy(), quantizer(weight), strict=True
    ):
        nearest = nearest_signs(row, basis, signed=True) @ basis
        assert rounded.flatten().tolist() == pytest.approx(nearest.tolist(), rel=1e-4, abs=1e-5)
    fresh = BasisWeightQuantizer(3)
    fresh.restore(quantizer.stored())
    assert torch.equal(fresh(weight), quantizer(weight))


def test_an_input_s_basis_is_that_of_the_first_images_alone():
    x = rows(3 * 4 * 4, channels=FIT_IMAGES + 5).view(-1, 3, 4, 4).abs()
    x[FIT_IMAGES:] *= -100
    quantizer = BasisActivationQuantizer(3)
    quantizer(x)
    assert not quantizer.signed
    values = x[:FIT_IMAGES].reshape(1, -1)
    assert torch.equal(quantizer.basis, learn_basis(values, 3, signed=False)[0])
    assert quantizer.side_bits() == 3 * 32
    other = BasisActivationQuantizer(3)
    other(x.neg())
    assert other.signed
    found = quantizer.basis.clone()
    quantizer(x.neg())
    assert torch.equal(quantizer.basis, found), "what was learned stays"


@pytest.mark.parametrize("shape", [(3, 1, 1, 3), (9,), (3, 3), (1, 3, 3)])
def test_halfway_between_two_levels_an_input_takes_the_upper_one(shape):
    quantizer = BasisActivationQuantizer(2)
    quantizer.restore({"basis": torch.tensor([1.0, 0.5]), "signed": torch.tensor(True)})
    x = torch.tensor([-9.0, -1.01, -1.0, -0.99, 0.0, 0.99, 1.0, 1.01, 9.0]).view(shape)
    wanted = [-1.5, -1.5, -0.5, -0.5, 0.5, 0.5, 1.5, 1.5, 1.5]
    assert quantizer(x).flatten().tolist() == wanted
    image = torch.tensor([-9.0, 1.0]).view(1, 2, 1, 1).expand(1, 2, 2, 3)
    assert quantizer(image)[0, :, 0, 0].tolist() == [-1.5, 1.5], "each place keeps its value"
    assert quantizer(image).shape == image.shape
