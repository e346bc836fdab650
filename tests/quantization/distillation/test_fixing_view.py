"""The cloud of weights that are still free, and the values that hold the others, counted by hand."""

import numpy as np
import pytest
import torch

from engine.quantization.distillation.fixing_view import (
    DRAWN,
    MOST_NOW,
    MOST_VALUES,
    _reach,
    fixing_view,
)


def round_of(values, held, entropy=1.5):
    return {"share": sum(held), "entropy": entropy, "values": torch.tensor(values),
            "held": torch.tensor(held)}  # fmt: skip


def test_free_weights_are_a_histogram_whose_sum_is_what_is_not_yet_held():
    free = torch.randn(400, generator=torch.Generator().manual_seed(0))
    course = [round_of([-0.5, 0.25], [0.1, 0.2])]
    view = fixing_view(free, course)
    reach = _reach(free, course[0]["values"], course[0]["held"])
    centres, shares = view.arrays["centres"].numpy(), view.arrays["free"].numpy()
    edges = np.linspace(-reach, reach, len(centres) + 1)
    assert centres == pytest.approx((edges[1:] + edges[:-1]) / 2, abs=1e-5)
    wanted = np.histogram(free.numpy(), edges)[0] / 400 * (1 - 0.3)
    assert shares == pytest.approx(wanted, abs=2 / 400)
    assert view.values["fixed"] == pytest.approx(0.3)
    assert view.values["round"] == 1
    assert view.values["unique"] == 2
    assert view.values["entropy"] == 1.5
    assert view.arrays["now"].tolist() == [-0.5, 0.25]
    assert view.arrays["held"].tolist() == pytest.approx([0.1, 0.2])


def test_each_round_s_values_are_drawn_at_that_round_those_of_most_weights_first():
    course = [round_of([1.0], [0.2]), round_of([0.5, 1.0, -1.0], [0.1, 0.3, 0.2])]
    view = fixing_view(torch.linspace(-1, 1, 50), course)
    assert view.arrays["round"].tolist() == [1, 2, 2, 2]
    assert view.arrays["value"].tolist() == [1, 1, -1, 0.5]
    assert view.values["round"] == 2


@pytest.mark.parametrize("rounds", [1, 2, 10])
def test_of_many_values_those_that_hold_most_are_drawn(rounds):
    count = MOST_VALUES + 20
    values = torch.linspace(-1, 1, count)
    held = torch.arange(1, count + 1).float()
    held = held / held.sum() * 0.9
    course = [round_of(values.tolist(), held.tolist())] * rounds
    view = fixing_view(torch.linspace(-1, 1, 10), course)
    each = MOST_VALUES // rounds
    assert view.arrays["round"].tolist() == [k + 1 for k in range(rounds) for _ in range(each)]
    assert view.arrays["value"][:each].tolist() == pytest.approx(values.flip(0)[:each].tolist())
    # Of the last round fewer, in the order of their values.
    assert view.arrays["now"].tolist() == pytest.approx(values[-MOST_NOW:].tolist())
    assert view.arrays["held"].tolist() == pytest.approx(held[-MOST_NOW:].tolist())


def test_what_lies_further_out_than_nearly_all_is_not_drawn():
    free = torch.cat([torch.full((998,), 0.5), torch.full((2,), 9.0)])
    view = fixing_view(free, [round_of([0.25, -20.0], [0.0985, 0.0005])])
    assert float(view.arrays["centres"].max()) < 0.5
    assert view.arrays["now"].tolist() == [0.25]
    assert view.arrays["value"].tolist() == [0.25]


@pytest.mark.parametrize("count", [0, 1, 300])
def test_the_reach_holds_just_so_much_of_all_weights(count):
    rng = torch.Generator().manual_seed(count)
    free, values = torch.randn(count, generator=rng), torch.randn(7, generator=rng) * 2
    held = torch.rand(7, generator=rng)
    held = held / held.sum() * (0.6 if count else 1.0)
    each = [*((abs(w), 0.4 / count) for w in free.tolist())]
    each += [(abs(v), h) for v, h in zip(values.tolist(), held.tolist(), strict=True)]
    each.sort()
    wanted = DRAWN * sum(share for _, share in each)
    within = np.cumsum([share for _, share in each])
    first = int(np.flatnonzero(within >= wanted - 1e-9)[0])
    assert _reach(free, values, held) == pytest.approx(each[first][0])


def test_with_all_weights_held_nothing_is_free():
    view = fixing_view(torch.zeros(0), [round_of([0.5, 1.0], [0.5, 0.5])])
    assert not view.arrays["free"].any()
    assert view.values["fixed"] == 1
