"""Factors on grids against slow second implementations: the search of a step, ADMM, least squares, shapes."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from engine.core.sampling.randomness import stream
from engine.quantization.grids.weights.factors.admm import admm, error_of
from engine.quantization.grids.weights.factors.cp import CP, compose, cp_als
from engine.quantization.grids.weights.factors.factored import (
    factor_shapes,
    on_grid,
    searched_step,
)
from engine.quantization.grids.weights.factors.tucker import TUCKER, tucker_als
from engine.quantization.grids.weights.factors.tucker import balanced as tucker_balanced
from engine.quantization.grids.weights.factors.tucker import compose as tucker_compose


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=stream(seed, "factors"), dtype=torch.double)


# --- a factor's grid ----------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [2, 3, 5])
@pytest.mark.parametrize("power", [1, 3])
def test_a_factor_s_step_is_that_of_a_slow_search(bits, power):
    values = drawn(7, 4, seed=bits) ** power
    flat, last = values.flatten().numpy(), 2 ** (bits - 1) - 1
    tried = [(0.2 + 0.02 * k) * np.abs(flat).max() / last for k in range(51)]

    def levels(step):
        return step * np.clip(np.floor(flat / step + 0.5), -last, last)

    best = min(tried, key=lambda step: ((levels(step) - flat) ** 2).sum())
    assert searched_step(values, bits).tolist() == [[pytest.approx(best)]]
    assert on_grid(values, bits).flatten().tolist() == pytest.approx(levels(best).tolist())


# --- ADMM ---------------------------------------------------------------------------------------


def design(factors, which, product):
    """What the entries of one factor add to the tensor: [entries of the tensor, entries of the factor]."""
    columns = []
    for k in range(factors[which].numel()):
        unit = torch.zeros(factors[which].numel(), dtype=torch.double)
        unit[k] = 1
        parts = [unit.view_as(f) if j == which else f for j, f in enumerate(factors)]
        columns.append(product(parts).flatten())
    return torch.stack(columns, 1)


def slow_admm(tensor, start, quantize, sweeps, product):
    """H̄ ← (F + ρ (H + U)) (G + ρ I)^−1, H ← Quant(H̄ − U), U ← U + H − H̄, factor by factor."""
    held, duals = [quantize(f) for f in start], [torch.zeros_like(f) for f in start]
    solved, course = [f.clone() for f in start], [error_of(tensor, product(held))]
    best = (course[0], [f.clone() for f in held], [f.clone() for f in solved])
    for _ in range(sweeps):
        for which, f in enumerate(held):
            a = design(held, which, product)
            gram, right = a.T @ a, a.T @ tensor.flatten()
            rho = gram.diagonal().mean()
            inverse = torch.linalg.inv(gram + rho * torch.eye(len(gram)))
            h, u = f.flatten(), duals[which].flatten()
            for _ in range(20):
                bar = inverse @ (right + rho * (h + u))
                before, target = h, bar - u
                h = quantize(target.view_as(f)).flatten()
                u = u + h - bar
                gap = (h - bar).square().sum() / h.square().sum()
                if gap < 1e-8 and (h - before).square().sum() / u.square().sum() < 1e-8:
                    break
            held[which], solved[which], duals[which] = (one.view_as(f) for one in (h, target, u))
        course.append(error_of(tensor, product(held)))
        if course[-1] < best[0]:
            best = (course[-1], [f.clone() for f in held], [f.clone() for f in solved])
        if abs(course[-2] - course[-1]) < 1e-5:
            break
    return best[1], best[2], course


@pytest.mark.parametrize("form", ["cp", "tucker"])
@pytest.mark.parametrize("bits", [3, None])
def test_admm_comes_to_the_factors_of_a_slow_second_implementation(form, bits):
    tensor = drawn(5, 4, 3)
    sizes = ((5, 3), (4, 3), (3, 3)) if form == "cp" else ((5, 3), (4, 2), (3, 2, 3))
    start = [drawn(*size, seed=k + 1) for k, size in enumerate(sizes)]
    # On no grid at all the inner turns end before they are twenty.
    quantize = (lambda f: f) if bits is None else (lambda f: on_grid(f, bits))
    made, product = (CP, compose) if form == "cp" else (TUCKER, tucker_compose)
    held, solved, course = admm(tensor, start, quantize, sweeps=4, form=made)
    wanted = slow_admm(tensor, start, quantize, 4, product)
    assert course == pytest.approx(wanted[2], rel=1e-5)
    for found, right in ((held, wanted[0]), (solved, wanted[1])):
        assert all(
            torch.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in zip(found, right, strict=True)
        )


def test_sweeps_end_when_the_error_has_settled():
    tensor = drawn(5, 4, 3)
    start = [drawn(*size, seed=k + 1) for k, size in enumerate(((5, 3), (4, 3), (3, 3)))]
    *_, course = admm(tensor, start, lambda f: f, sweeps=500, form=CP)
    falls = [abs(a - b) for a, b in pairwise(course)]
    assert falls[-1] < 1e-5 <= min(falls[:-1])


# --- least squares in floats --------------------------------------------------------------------


@pytest.mark.parametrize("sweeps", [1, 2, 400])
def test_least_squares_by_turns_are_those_of_a_slow_second_implementation(sweeps):
    tensor = drawn(6, 5, 4)
    found = cp_als(tensor, 3, sweeps=sweeps, rng=stream(0, "als"))
    rng = stream(0, "als")
    size = float(tensor.square().mean()) ** (1 / 6)
    factors = [size * torch.randn(n, 3, generator=rng, dtype=torch.double) for n in (6, 5, 4)]
    before = torch.inf
    for _ in range(sweeps):
        for which in range(3):
            a = design(factors, which, compose)
            factors[which] = torch.linalg.lstsq(a, tensor.flatten()[:, None]).solution.view_as(
                factors[which]
            )
        error = error_of(tensor, compose(factors))
        if before - error < 1e-5:
            break
        before = error
    lengths = torch.stack([f.norm(dim=0) for f in factors])
    even = lengths.prod(0) ** (1 / 3)
    for one, factor, length in zip(found, factors, lengths, strict=True):
        assert torch.allclose(one, factor / length * even, rtol=1e-4, atol=1e-5)


def leading(matrix, rank):
    return torch.linalg.svd(matrix).U[:, :rank]


@pytest.mark.parametrize("sweeps", [0, 1, 2, 100])
def test_orthogonal_iteration_is_that_of_a_slow_second_implementation(sweeps):
    tensor = drawn(6, 5, 4)
    a, b, before = (
        leading(tensor.flatten(1), 3),
        leading(tensor.movedim(1, 0).flatten(1), 2),
        torch.inf,
    )
    for _ in range(sweeps):
        a = leading(torch.einsum("oit,iq->oqt", tensor, b).flatten(1), 3)
        b = leading(torch.einsum("oit,op->ipt", tensor, a).flatten(1), 2)
        wanted = torch.einsum("oit,op,iq,xp,yq->xyt", tensor, a, b, a, b)
        error = error_of(tensor, wanted)
        if before - error < 1e-5:
            break
        before = error
    wanted = torch.einsum("oit,op,iq,xp,yq->xyt", tensor, a, b, a, b)
    found = tucker_als(tensor, (3, 2), sweeps=sweeps)
    assert torch.allclose(tucker_compose(found), wanted, atol=1e-6)
    for way in (0, 1):
        slices = found[2].movedim(way, 0).flatten(1).norm(dim=1)
        assert torch.allclose(found[way].norm(dim=0), slices, rtol=1e-2)


def test_columns_and_slices_meet_halfway():
    """One turn by hand where nothing else is long: a column of 4 beside a slice of 1 are both 2."""
    a, b, core = torch.tensor([[4.0]]), torch.tensor([[1.0]]), torch.tensor([[[1.0]]])
    a, b, core = tucker_balanced([a, b, core])
    assert float(a * b * core) == pytest.approx(4)
    assert float(a) == pytest.approx(float(core), rel=1e-3)
    assert float(b) == pytest.approx(float(core), rel=1e-3)


# --- what a budget holds ------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.05, 0.3, 1.0, 4.0])
@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("shape", [(16, 12, 9), (7, 30, 9), (5, 4, 25)])
def test_ranks_are_the_largest_that_fit_with_their_steps(shape, bits, share):
    outputs, inputs, taps = shape
    budget = share * bits * outputs * inputs * taps - 3 * 32
    fits = [r for r in range(1, 10_000) if bits * r * sum(shape) <= budget]
    wanted = tuple((n, fits[-1]) for n in shape) if fits else ()
    assert factor_shapes("cp", shape, bits, share) == wanted
    pairs = [(p, max(1, round(p * inputs / outputs))) for p in range(1, outputs + 1)]
    fits = [(p, q) for p, q in pairs if bits * (outputs * p + inputs * q + p * q * taps) <= budget]
    wanted = ((outputs, fits[-1][0]), (inputs, fits[-1][1]), (*fits[-1], taps)) if fits else ()
    assert factor_shapes("tucker", shape, bits, share) == wanted
