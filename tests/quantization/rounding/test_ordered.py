"""Columns in three orders: against the natural order on columns that were moved, and plain least squares."""

from dataclasses import replace

import pytest
import torch

from engine.quantization.grids.level_sets import nearest_codes
from engine.quantization.grids.weights.mid_rise import MidRiseWeightCodes
from engine.quantization.methods.bitat import Bitat
from engine.quantization.rounding.columns import HessianCompensated
from engine.quantization.rounding.ordered import ORDERS, POINTS, OrderedRounding, ThreeOrders
from tests.contracts.nets import budget, quantizing
from tests.quantization.rounding.test_rounding import finished, plain_error, problem

TOLD = {"refit": 0, "compensate": True, "damping": 0.01, "seed": 5}


def binary(p):
    """The same problem with levels ±a for each output."""
    levels = p.weight.abs().mean(2, keepdim=True) * torch.tensor([-1.0, 1.0])
    return replace(p, levels=levels)


def ordered(p, **changed):
    return finished(lambda one: OrderedRounding(one, **{"order": "importance"} | TOLD | changed), p)


@pytest.mark.parametrize("order", ORDERS)
def test_an_order_is_the_natural_one_on_columns_that_were_moved(order):
    p = binary(problem(width=12))
    found = ordered(p, order=order)
    moved = replace(
        p, weight=p.weight[..., found.order], x_teacher=p.x_teacher[:, found.order],
        x_student=p.x_student[:, found.order],
    )  # fmt: skip
    wanted = finished(lambda one: HessianCompensated(one, damping=0.01, by_energy=False), moved)
    assert torch.equal(found.codes[..., found.order], wanted.codes)
    assert found.error() == pytest.approx(wanted.error(), rel=1e-3)


def test_the_orders_are_of_inputs_of_weights_and_of_chance():
    p = binary(problem(width=12))
    energy = p.x_student.square().sum((0, 2))
    by_input = energy[ordered(p).order]
    assert (by_input.diff() <= 0).all()
    size = p.weight.abs().mean((0, 1))
    assert (size[ordered(p, order="magnitude").order].diff() <= 0).all()
    drawn = [ordered(p, order="random", seed=seed).order.tolist() for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert sorted(drawn[2]) == list(range(12))


def test_without_compensation_each_column_has_its_nearest_level():
    p = binary(problem())
    for order in ORDERS:
        found = ordered(p, order=order, compensate=False)
        assert torch.equal(found.codes, nearest_codes(p.weight, p.levels))
        assert found.error() == pytest.approx(plain_error(p), rel=1e-3)


@pytest.mark.parametrize("compensate", [True, False])
def test_the_last_scale_is_that_of_least_squares_on_the_outputs(compensate):
    p = binary(problem(noise=0.0))
    found = ordered(p, refit=8, compensate=compensate, damping=1e-6)
    for o in range(p.weight.shape[1]):
        wanted = p.weight[0, o] @ p.x_teacher[0]
        seen = (2.0 * found.codes[0, o] - 1) @ p.x_student[0]
        scale = float(torch.linalg.lstsq(seen[:, None], wanted[:, None]).solution)
        assert float(found.levels[0, o, 1]) == pytest.approx(scale, rel=1e-3)
        assert float(found.levels[0, o, 0]) == pytest.approx(-scale, rel=1e-3)


def test_on_the_way_scale_and_columns_to_come_are_a_least_squares_fit_together():
    p = binary(problem(noise=0.0))
    found = OrderedRounding(p, order="importance", **TOLD | {"refit": 6, "damping": 1e-6})
    found.advance(12)
    before, behind = found.order[:12], found.order[12:]
    for o in range(p.weight.shape[1]):
        signs = 2.0 * found.codes[0, o, before] - 1
        taken = (signs @ p.x_student[0, before])[None]
        basis = torch.cat([taken, p.x_student[0, behind]]).T.double()
        wanted = (p.weight[0, o] @ p.x_teacher[0]).double()
        fit = torch.linalg.lstsq(basis, wanted[:, None]).solution[:, 0]
        assert float(found.levels[0, o, 1]) == pytest.approx(float(fit[0]), rel=5e-3)
        assert torch.allclose(found._rest[0, o, behind].double(), fit[1:], rtol=5e-2, atol=5e-3)


@pytest.mark.parametrize("refit", [0, 8])
@pytest.mark.parametrize("order", ORDERS)
def test_outputs_are_nearer_than_by_plain_signs_on_images_kept_back_too(order, refit):
    p = binary(problem(width=24, patches=400, held=200))
    found = ordered(p, order=order, refit=refit)
    assert p.error(found.values(), held_out=False) < plain_error(p)
    assert p.error(found.values(), held_out=True) < plain_error(p, held_out=True)


def test_the_quantizer_computes_what_was_rounded():
    p = binary(problem())
    quantizer = MidRiseWeightCodes(1)
    quantizer.fit(p.weight[0])
    found = ordered(replace(p, levels=quantizer.levels()[None]), refit=8)
    found.settle(quantizer, p.weight[0].shape)
    assert torch.allclose(quantizer(p.weight[0]), found.values()[0], rtol=1e-5)


def test_codes_do_not_depend_on_where_the_steps_end():
    p = binary(problem())
    whole, parts = (
        finished(
            lambda one: OrderedRounding(one, order="importance", **TOLD | {"refit": 5}),
            p,
            stops=stops,
        )
        for stops in ((10**9,), (3, 5, 6, 20, 10**9))
    )
    assert torch.equal(whole.codes, parts.codes)
    assert torch.equal(whole.levels, parts.levels)


def test_the_picture_has_the_error_of_each_order_as_that_order_alone_has_it():
    p = binary(problem())
    found = ThreeOrders(p, order="magnitude", **TOLD)
    found.advance(p.weight.shape[2])
    view = found.view("layer")
    assert view.arrays["at"][-1] == 1
    for order in ORDERS:
        assert view.values[order] == pytest.approx(ordered(p, order=order).error(), rel=1e-5)
    assert torch.equal(found.codes, ordered(p, order="magnitude").codes)
    assert view.values["nearest"] == pytest.approx(plain_error(p), rel=1e-3)


@pytest.mark.parametrize("progressive", [True, False])
def test_layers_are_rounded_for_what_earlier_ones_have_become_or_all_at_once(progressive):
    method = Bitat(budget(Bitat.Settings, progressive=progressive, steps=1))
    alike = []
    for opened in quantizing(weight_bits=1).machines(method):
        problem = opened.machine._opened().problem  # of the block's first layer
        alike.append(torch.equal(problem.x_student, problem.x_teacher))
        opened.machine.step()
    assert alike[0]  # the image, which is as it is
    assert all(alike) is not progressive
    assert any(alike[1:]) is not progressive


def test_the_error_is_told_at_about_fifty_columns_and_at_the_last():
    for width, wanted in (
        (24, list(range(24))),
        (2 * POINTS + 6, [*range(0, 2 * POINTS + 6, 2), 2 * POINTS + 5]),
    ):
        p = binary(problem(width=width, outputs=2, patches=150))
        found = OrderedRounding(p, order="importance", **TOLD)
        told = []
        for k in range(width):
            found.advance(k + 1)
            told.append((k, found.error(), plain_error(p)))
        assert [k for k, _, _ in found.path] == wanted
        for point in found.path:
            assert point == pytest.approx(told[point[0]], rel=1e-2)


def test_factors_are_found_anew_after_so_many_columns_and_at_the_end():
    p = binary(problem(width=14))
    for refit, wanted in ((0, []), (4, [4, 8, 12, 14]), (7, [7, 14])):
        found = OrderedRounding(p, order="importance", **TOLD | {"refit": refit})
        changed, before = [], found.factor.clone()
        assert (before == 1).all()
        for k in range(14):
            found.advance(k + 1)
            if not torch.equal(found.factor, before):
                changed.append(k + 1)
            before = found.factor.clone()
            assert torch.allclose(found.levels, p.levels * found.factor[..., None])
        assert changed == wanted


def test_put_down_and_taken_up_again_all_three_go_on_as_if_never_stopped():
    p = binary(problem(width=14))
    whole, first, second = (ThreeOrders(p, order="random", **TOLD | {"refit": 4}) for _ in range(3))
    for one in (whole, first):
        one.advance(9)
    second.load_state_dict(first.state_dict())
    for one in (whole, second):
        one.advance(14)
    assert torch.equal(second.codes, whole.codes)
    assert torch.equal(second.levels, whole.levels)
    seen, wanted = second.view("layer"), whole.view("layer")
    assert seen.values == wanted.values
    assert all(torch.equal(seen.arrays[name], wanted.arrays[name]) for name in wanted.arrays)
    assert wanted.values["chosen"] == ORDERS.index("random")
    assert torch.allclose(wanted.arrays["at"], torch.arange(1, 15) / 14)


def test_levels_rise_even_where_least_squares_would_have_none():
    """An output of zeros: the best factor is 0, and its two levels would be one."""
    p = problem(width=8)
    p.weight[:, 1] = 0
    found = ordered(replace(p, levels=torch.tensor([-0.5, 0.5]).expand(1, 5, 2)), refit=4)
    assert found.levels[0, 1].tolist() == [-0.5, 0.5]
    assert (found.levels.diff() > 0).all()
    assert not (found.factor[0, [0, 2, 3, 4]] == 1).any()
