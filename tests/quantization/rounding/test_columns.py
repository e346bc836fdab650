"""Rounding column by column against slow second implementations in double, output by output."""

import pytest
import torch

from engine.quantization.grids.level_sets import nearest_codes
from engine.quantization.rounding.columns import (
    GreedyPath,
    HessianCompensated,
    _factor,
    choose_at_random,
    choose_nearest,
    choose_sparse,
)
from tests.quantization.rounding.test_rounding import finished, plain_error, problem, rng

# --- which level a value takes ------------------------------------------------------------------

LEVELS = torch.tensor([[-2.0, -0.5, 0.0, 1.0], [-1.0, 0.0, 0.25, 4.0]])  # of two outputs


def test_drawn_at_random_is_the_lower_level_or_the_upper_one_by_the_draw():
    values = torch.tensor(
        [[-3.0, -2.0, -1.0, -0.5, -0.1, 0.7, 1.0, 9.0], [-2, -1, -0.4, 0.1, 1, 2, 4, 5]]
    )
    each = values.T.contiguous()  # [8 times, outputs]
    levels = LEVELS.expand(8, 2, 4).contiguous()
    for seed in range(20):
        found = choose_at_random(rng(seed))(each, levels)
        drawn = torch.rand(each.shape, generator=rng(seed))
        for k in range(8):
            for o in range(2):
                value, of = float(each[k, o]), LEVELS[o].tolist()
                lower = max((j for j in range(3) if of[j] <= value), default=0)
                share = (value - of[lower]) / (of[lower + 1] - of[lower])
                assert int(found[k, o]) == lower + (float(drawn[k, o]) < share)


@pytest.mark.parametrize("threshold", [0.0, 0.3, 1.0])
def test_the_sparse_choice_is_the_nearest_level_of_a_value_nearer_to_0(threshold):
    values = torch.linspace(-4, 5, 37)
    choose = choose_sparse(threshold)
    for of in LEVELS:
        step = float(of[-1] - of[0]) / 3  # the mean of three
        found = choose(values[None], of.expand(1, 37, 4).contiguous())[0]
        for value, code in zip(values.tolist(), found.tolist(), strict=True):
            size = max(abs(value) - threshold * step, 0.0)
            smaller = size if value > 0 else -size
            away = [abs(level - smaller) for level in of.tolist()]
            assert away[code] == pytest.approx(min(away), abs=1e-6)


# --- a matrix that cannot be factorized ---------------------------------------------------------


@pytest.mark.parametrize(
    ("lowest", "added"),
    [(0.1, 0.0), (-5e-7, 1e-6), (-1e-4, 1.11e-4), (-0.5, 1.111111), (-3.0, 1.111111)],
)
def test_a_matrix_is_damped_tenfold_more_until_it_has_a_factor(lowest, added):
    """By 1e-6 of its mean, by 1e-5 more, and so on up to the whole of it."""
    diagonal = torch.tensor([4.0, 2.0, lowest], dtype=torch.double)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=rng(), dtype=torch.double)).Q
    matrix = (turn * diagonal @ turn.T)[None]
    factor, damped = _factor(matrix)
    mean = float(diagonal.sum()) / 3
    assert torch.allclose(
        damped - matrix, added * mean * torch.eye(3, dtype=torch.double), rtol=1e-4
    )
    if lowest > -3.0:  # where that is not enough there is none
        assert torch.allclose(factor @ factor.mT, damped)


# --- greedy path following ----------------------------------------------------------------------


def test_the_path_tells_the_error_of_the_columns_so_far_beside_that_of_nearest_rounding():
    p = problem(width=11, groups=2)
    rounding = finished(lambda q: GreedyPath(q, choose_nearest), p, stops=(3, 4, 11))
    near = p.levels.gather(-1, nearest_codes(p.weight, p.levels))
    whole = (p.weight @ p.x_teacher).norm()
    assert [column for column, _, _ in rounding.path] == list(range(11))
    for t, error, plain in rounding.path:
        wanted = p.weight[:, :, : t + 1] @ p.x_teacher[:, : t + 1]
        for told, values in ((error, rounding.values()), (plain, near)):
            seen = values[:, :, : t + 1] @ p.x_student[:, : t + 1]
            assert told == pytest.approx(float((wanted - seen).norm() / whole), rel=1e-3)


@pytest.mark.parametrize(("size", "is_dead"), [(1e-7, True), (1e-5, False)])
def test_a_column_of_hardly_any_energy_says_nothing_about_its_weight(size, is_dead):
    """Less than 1e-12 of the mean energy of a column: there, what is asked for is noise."""
    p = problem(width=6, noise=0.0)
    p.x_teacher[:, 2] *= size
    p.x_student[:, 2] *= size
    near = nearest_codes(p.weight, p.levels)[..., 2]
    last = torch.full_like(near, p.levels.shape[2] - 1)

    def highest(values, levels):  # what the choice would be, were there one
        return torch.full(values.shape, levels.shape[-1] - 1)

    found = finished(lambda q: GreedyPath(q, highest), p).codes[..., 2]
    assert torch.equal(found, near if is_dead else last)


# --- Hessian-compensated rounding ---------------------------------------------------------------


def slow_hessian(p, *, damping, by_energy):
    """Fit to the teacher's output, then by columns: round, invert what is left, pass the error on."""
    codes = torch.zeros(p.weight.shape, dtype=torch.long)
    x, seen = p.x_teacher.double(), p.x_student.double()
    energy = seen.square().sum(2).mean(0)
    order = list(range(len(energy)))
    if by_energy:
        order.sort(key=lambda t: -float(energy[t]))
    for g, weight in enumerate(p.weight.double()):
        h, cross = seen[g] @ seen[g].T, x[g] @ seen[g].T
        full = h + damping * h.diagonal().mean() * torch.eye(len(h))
        # what is never seen neither gives nor takes: only its own diagonal is not 0
        for t in range(len(h)):
            full[t, t] += float(h[t, t] == 0)
        left = weight + weight @ (cross - h) @ torch.linalg.inv(full)
        for k, t in enumerate(order):
            later = order[k:]
            inverse = torch.linalg.inv(full[later][:, later])
            levels = p.levels[g].double()
            codes[g, :, t] = (left[:, t, None] - levels).abs().argmin(1)
            value = levels.gather(1, codes[g, :, t, None])[:, 0]
            left[:, later] -= ((left[:, t] - value) / inverse[0, 0])[:, None] * inverse[0]
    return codes, order


@pytest.mark.parametrize("by_energy", [False, True])
@pytest.mark.parametrize("damping", [0.01, 0.5])
def test_codes_are_those_of_a_slow_second_implementation(by_energy, damping):
    p = problem(width=9, patches=60, noise=0.3, groups=2)
    p.x_teacher[:, 4] = p.x_student[:, 4] = 0
    found = finished(lambda q: HessianCompensated(q, damping=damping, by_energy=by_energy), p)
    codes, order = slow_hessian(p, damping=damping, by_energy=by_energy)
    assert found.order.tolist() == order
    assert torch.equal(found.codes, codes)


def test_its_path_has_an_error_for_each_stop_beside_that_of_nearest_rounding():
    p = problem(width=12, noise=0.2)
    rounding = HessianCompensated(p, damping=0.01, by_energy=False)
    wanted = []
    for stop in (1, 5, 12):
        rounding.advance(stop)
        # columns yet to come are as they are now, not rounded
        wanted.append((stop - 1, p.error(rounding._rest, held_out=False), plain_error(p)))
        assert rounding.at == stop
    for told, right in zip(rounding.path, wanted, strict=True):
        assert told == pytest.approx(right, rel=2e-3)
    near = nearest_codes(p.weight, p.levels)
    fresh = HessianCompensated(p, damping=0.01, by_energy=False)
    assert torch.equal(fresh.codes, near), "columns not yet reached are at their nearest levels"


# --- both ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "policy",
    [lambda p: GreedyPath(p, choose_nearest), lambda p: HessianCompensated(p, damping=0.1, by_energy=True)],
    ids=["greedy", "hessian"],
)  # fmt: skip
def test_put_down_and_taken_up_again_it_goes_on_as_if_never_stopped(policy):
    p = problem(width=10, groups=2)
    whole, first, second = policy(p), policy(p), policy(p)
    whole.advance(4)
    whole.advance(10)
    first.advance(4)
    second.load_state_dict(first.state_dict())
    assert second.at == 4
    second.advance(10)
    assert torch.equal(second.codes, whole.codes)
    assert second.path == whole.path
    assert second.error() == whole.error()
