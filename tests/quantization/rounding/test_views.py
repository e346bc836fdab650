"""Looks inside quantizers: small, finite, true, and without any effect on what is looked at."""

import pytest
import torch

from engine.core.method import View
from engine.quantization import discover_methods
from engine.quantization.grids.quantizers import WeightQuantizer
from engine.quantization.grids.weights.learned_basis import basis_error, learn_basis
from engine.quantization.rounding.views import levels_view, soft_rounding_view
from engine.quantization.student import stored_block
from tests.contracts.nets import budget, quantizing

METHODS = discover_methods()
MOST_NUMBERS = 400


def viewed(name, *, looking=True, **changes):
    """Every block quantized, looked at after each step; the views in order, and the blocks' states."""
    # DIR-Net draws its weights of 1 bit, and has nothing to show of others.
    work = quantizing(weight_bits=1) if name == "dir-net" else quantizing()
    changes = {"steps": 3, "batch": 4, "activation_steps": 1, "correction_steps": 1} | changes
    method = METHODS[name](budget(METHODS[name].Settings, **changes))
    views, blocks = [], []
    if method.steps_of_the_whole():
        trainer = work.distiller(method)
        for _ in range(trainer.total_steps):
            trainer.step()
            views += trainer.views() if looking else ()
    for opened in work.machines(method):
        blocks.append(opened.block)
        if opened.machine is None:
            continue
        for _ in range(opened.machine.total_steps):
            opened.machine.step()
            if looking:
                views += opened.machine.views()
    for block in blocks:
        views += method.views(work.student, block)
    return views, [stored_block(work.student, block) for block in blocks]


def test_every_view_is_small_and_names_something_of_the_network():
    for name in METHODS:
        views, _ = viewed(name)
        assert bool(views) is (name not in ("nearest", "mixed"))  # mixed hands on to nearest here
        assert {view.form for view in views} <= set(METHODS[name].card.shows), name
        for view in views:
            assert isinstance(view, View)
            assert view.what
            assert sum(array.numel() for array in view.arrays.values()) <= MOST_NUMBERS
            known = {k: v for k, v in view.arrays.items() if k != "taken"}  # not yet taken: unknown
            assert all(array.isfinite().all() for array in known.values()), (name, view)
            assert all(not array.requires_grad for array in view.arrays.values())


def test_to_look_changes_nothing():
    for name in ("adaround", "aquant", "gpfq"):  # each kind of machine; phases in the first
        looked, plain = (viewed(name, looking=looking)[1] for looking in (True, False))
        for one, other in zip(looked, plain, strict=True):
            assert all(torch.equal(one[key], other[key]) for key in other), name


def test_roundings_are_counted_where_they_lie():
    quantizer = WeightQuantizer(4)
    weight = torch.linspace(-1, 1, 400).view(1, -1)
    quantizer.fit(weight)
    quantizer.soften(weight)
    with torch.no_grad():
        quantizer.rounding[:, :100] = -20.0  # down for good
        quantizer.rounding[:, 100:300] = 20.0  # up for good
        quantizer.rounding[:, 300:] = 0.0  # in the middle
    view = soft_rounding_view("it", [quantizer])
    shares = view.arrays["shares"]
    assert float(shares[0]) == 0.25
    assert float(shares[-1]) == 0.5
    assert float(shares[len(shares) // 2]) == 0.25
    assert view.values["decided"] == 0.75


def test_a_reconstruction_decides_its_roundings():
    views, _ = viewed("genie-m", steps=80, lr_rounding=0.1, rounding_weight=1.0)
    decided = [v.values["decided"] for v in views if v.form == "soft-rounding"][:80]
    assert decided[-1] > decided[0] + 0.5


def test_the_path_ends_with_every_code_of_the_layer_taken():
    method = METHODS["gpfq"](budget(METHODS["gpfq"].Settings, steps=3))
    work = quantizing()
    opened = list(zip(range(2), work.machines(method), strict=False))[-1][1]  # not the 8-bit edge
    for _ in range(3):
        opened.machine.step()
    *others, view = opened.machine.views()
    assert [one.what for one in [*others, view]] == [*opened.block.layers]
    assert not opened.machine.views()  # nothing new
    assert view.arrays["at"][-1] == view.arrays["column"][-1]
    codes = work.student.get_submodule(view.what).weight_quantizer.codes
    count = len(view.arrays["taken"])
    levels = view.arrays["levels"]
    assert torch.equal(view.arrays["taken"], levels[codes[0].flatten()[-count:].long()])
    assert float(view.arrays["error"][-1]) == view.values["error"]


@pytest.mark.parametrize("steps", [1, 2, 5, 32])
def test_every_layer_s_path_is_seen_to_its_end_however_few_looks_there_are(steps):
    views, _ = viewed("gpfq", steps=steps)
    blocks = [
        opened.block
        for opened in quantizing().machines(METHODS["nearest"](budget(METHODS["nearest"].Settings)))
    ]
    for path in (path for block in blocks for path in block.layers):
        ends = [
            v.arrays["taken"].isfinite().all() for v in views if (v.form, v.what) == ("path", path)
        ]
        assert ends, path
        assert ends[-1], path


def test_codes_yet_to_come_are_not_shown():
    work = quantizing()
    method = METHODS["hessian"](budget(METHODS["hessian"].Settings, steps=10_000, order="energy"))
    opened = next(work.machines(method))
    width = sum(work.student.get_submodule(p).float_weight[0].numel() for p in opened.block.layers)
    for _ in range(-(-10_000 * 2 // width)):  # two columns
        opened.machine.step()
    (view,) = opened.machine.views()
    known = view.arrays["taken"].isfinite()
    assert known.tolist() == [True, True] + [False] * (len(known) - 2)


def test_borders_begin_at_one_half_and_bend():
    views, _ = viewed("aquant", steps=40, lr_border=0.1)
    borders = [v for v in views if v.form == "borders"]
    first = next(v for v in borders if v.what == borders[-1].what)
    assert first.values["farthest"] < 0.1
    assert borders[-1].values["farthest"] > first.values["farthest"]
    assert (borders[-1].arrays["lowest"] <= borders[-1].arrays["highest"]).all()


def test_levels_move_to_smaller_errors():
    views, _ = viewed("lq-nets")
    of_one = [v for v in views if v.what == views[0].what]
    assert not torch.equal(of_one[0].arrays["levels"], of_one[-1].arrays["levels"])
    errors = [v.values["mse"] for v in of_one]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0]


def test_the_course_of_a_basis_ends_in_it_and_never_gets_worse():
    values = torch.randn(3, 500, generator=torch.Generator().manual_seed(0)) ** 3
    course = []
    basis = learn_basis(values, 3, signed=True, course=course)
    assert torch.equal(course[-1], basis)
    errors = torch.cat([basis_error(values, one, signed=True) for one in course], 1)
    assert (errors.diff(dim=1) <= 0).all()


def test_a_channel_beside_its_levels_is_counted_over_both():
    values, levels = torch.tensor([-1.0, 0.0, 0.4, 2.0]), torch.tensor([-3.0, 0.0, 1.0])
    view = levels_view("a", 2, values, levels, torch.ones(1))
    centres = torch.as_tensor(view.arrays["centres"])
    width = 5 / len(centres)  # from the lowest level to the highest value
    assert float(centres[0]) == pytest.approx(-3 + width / 2)
    assert float(centres[-1]) == pytest.approx(2 - width / 2)
    assert float(torch.as_tensor(view.arrays["shares"]).sum()) == pytest.approx(1)
    assert view.values["mse"] == pytest.approx((1 + 0 + 0.16 + 1) / 4)
    assert view.values["turn"] == 2
