"""What functions between layers leave free: a factor of a channel, and its place among the others."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from engine.analysis.similarity.flow import find_streams
from tests.contracts.nets import images, ready

FREE, FIXED = True, False


class Between(nn.Module):
    """Two layers side by side, a function of what they give, and a layer that reads it."""

    def __init__(self, function, wide=4, beside=4, reads=4, **layer) -> None:
        super().__init__()
        self.one, self.other = nn.Conv2d(3, wide, 1), nn.Conv2d(3, beside, 1)
        self.two = nn.Conv2d(reads, 2, 1, **layer)
        self.function = function

    def forward(self, x):
        return self.two(self.function(self.one(x), self.other(x)))


class Flat(Between):
    """The same before a linear layer."""

    def __init__(self, function, reads=4 * 64) -> None:
        super().__init__(function)
        self.two = nn.Linear(reads, 2)


def found(net):
    """(whether one's factor is free, its order, the same of other's where that is read)."""
    streams = find_streams(ready(net), 3)
    told = []
    for unit in (one for one in streams.units if one.path in ("one", "other")):
        for roots, free in (
            (streams.factor, streams.free_factor),
            (streams.order, streams.free_order),
        ):
            kept = {bool(one) for one in free[roots[unit.writes]]}
            assert len(kept) == 1
            told += kept
    return tuple(told)


@torch.no_grad()
def scaled(net, streams, seed=0):
    """A copy in which each free factor is drawn anew: written so many times as large, read so much less."""
    other = copy.deepcopy(net)
    rng = np.random.default_rng(seed)
    drawn = np.exp(rng.uniform(-1, 1, len(streams.factor)))
    factors = np.where(streams.free_factor, drawn, 1.0)[streams.factor]
    for unit in streams.units:
        layer = other.get_submodule(unit.path)
        rows = torch.as_tensor(factors[unit.writes])
        shape = (-1, *[1] * (layer.weight.dim() - 1))
        layer.weight.mul_(rows.view(shape))
        layer.bias.mul_(rows)
        reads = torch.as_tensor(factors[unit.reads])
        wide, tall = layer.weight.shape[1], len(layer.weight) // unit.groups
        for row in range(len(layer.weight)):
            for column in range(wide):
                place = row // tall * wide + column
                layer.weight[row, column] /= reads[place * len(unit.reads) // (wide * unit.groups)]
    return other


# What is between, and what it leaves free: of `one` its factor and order, of `other` the same.
CASES = {
    "nothing": (lambda a, b: torch.relu(a), (FREE, FREE)),
    "a sum": (lambda a, b: a + b, (FREE, FREE, FREE, FREE)),
    "a difference": (lambda a, b: a - b, (FREE, FREE, FREE, FREE)),
    "a constant added": (lambda a, b: a + 1.0, (FIXED, FREE)),
    "one from a constant": (lambda a, b: 1.0 - a, (FIXED, FREE)),
    "itself added": (lambda a, b: a + a, (FREE, FREE)),
    "a number times": (lambda a, b: 3 * a, (FREE, FREE)),
    "times a number": (lambda a, b: a * 3, (FREE, FREE)),
    "itself times": (lambda a, b: a * a, (FIXED, FREE)),
    "by a number": (lambda a, b: a / 3, (FREE, FREE)),
    "a number by it": (lambda a, b: 3 / (torch.relu(a) + 1), (FIXED, FIXED)),
    "a quotient": (lambda a, b: a / b.square().mean(), (FIXED, FIXED, FIXED, FIXED)),
    "a product": (lambda a, b: a * b, (FIXED, FREE, FIXED, FREE)),
    "a gate behind": (lambda a, b: a * torch.sigmoid(b), (FREE, FREE, FIXED, FREE)),
    "a gate before": (lambda a, b: torch.sigmoid(b) * a, (FREE, FREE, FIXED, FREE)),
    "a bounded function": (lambda a, b: F.relu6(a), (FIXED, FREE)),
    "a mean over the picture": (lambda a, b: a.mean((2, 3), keepdim=True), (FREE, FREE)),
    "a mean from behind": (lambda a, b: a.mean((-1, -2), keepdim=True), (FREE, FREE)),
    "a mean over channels": (lambda a, b: a.mean(1, keepdim=True) + b, (FIXED, FIXED, FIXED, FIXED)),
    "a softmax": (lambda a, b: torch.softmax(a, 1), (FIXED, FIXED)),
    "a bound by another": (lambda a, b: torch.clamp(a, max=b), (FIXED, FIXED, FIXED, FIXED)),
    "the image": (lambda a, b: a + b.mean(), (FIXED, FIXED, FIXED, FIXED)),
}  # fmt: skip


@torch.no_grad()
@pytest.mark.parametrize("case", CASES)
def test_a_function_fixes_what_it_cannot_pass_on_and_what_is_free_changes_no_answer(case):
    function, wanted = CASES[case]
    net = ready(Between(function)).double()
    assert found(net) == wanted
    streams, x = find_streams(net, 3), images(2).double()
    other = scaled(net, streams)
    assert torch.allclose(other(x), net(x), rtol=1e-6, atol=1e-9)


@torch.no_grad()
@pytest.mark.parametrize("case", ["a sum", "a difference", "a product", "a gate behind"])
def test_streams_that_meet_have_one_order_and_where_they_are_added_one_factor(case):
    streams = find_streams(ready(Between(CASES[case][0])), 3)
    one, other, two = streams.units
    assert np.array_equal(streams.order[one.writes], streams.order[other.writes])
    assert np.array_equal(streams.order[one.writes], streams.order[two.reads])
    same = np.array_equal(streams.factor[one.writes], streams.factor[other.writes])
    assert same is (case in ("a sum", "a difference"))


@torch.no_grad()
@pytest.mark.parametrize(
    ("function", "reads", "wanted"),
    [(lambda a, b: torch.cat([a, b], 1), 9, (FREE, FREE, FREE, FREE)),
     (lambda a, b: torch.cat([a, b], dim=1), 9, (FREE, FREE, FREE, FREE)),
     (lambda a, b: torch.cat([a, b[:, :4]]), 4, (FIXED, FIXED, FIXED, FIXED))],
)  # fmt: skip
def test_branches_side_by_side_keep_their_factors_and_others_do_not(function, reads, wanted):
    net = ready(Between(function, beside=5, reads=reads)).double()
    assert found(net) == wanted
    x = images(2).double()
    assert torch.allclose(scaled(net, find_streams(net, 3))(x), net(x), rtol=1e-6, atol=1e-9)


class Joined(Between):
    """Two branches side by side, in both orders; `between` and a function before they are read."""

    def __init__(self, function, between) -> None:
        super().__init__(function, reads=8)
        self.between = between

    def forward(self, x):
        a, b = self.one(x), self.other(x)
        ways = (torch.cat(pair, 1) for pair in ((a, b), (b, a)))
        return self.two(self.function(*map(self.between, ways)))


@pytest.mark.parametrize("function", [torch.add, torch.mul])
@pytest.mark.parametrize("between", [nn.ReLU, nn.Identity])
def test_where_branches_that_are_joined_meet_crosswise_they_keep_their_order(function, between):
    """A channel of the one meets one of the other, and that one the first again."""
    net = Joined(lambda a, b: function(a, b), between())
    streams = find_streams(ready(net), 3)
    one, other = streams.units[:2]
    for unit in (one, other):
        assert not streams.free_order[streams.order[unit.writes]].any()


def test_behind_a_layer_that_reads_them_in_both_orders_both_branches_have_one_order_that_is_free():
    streams = find_streams(ready(Joined(torch.add, nn.Conv2d(8, 8, 1))), 3)
    one, other, between, _ = streams.units
    assert np.array_equal(streams.order[one.writes], streams.order[other.writes])
    for unit in (one, between):
        assert streams.free_order[streams.order[unit.writes]].all()


@torch.no_grad()
@pytest.mark.parametrize(
    ("function", "wanted"),
    [(lambda a, b: torch.flatten(a, 1), (FREE, FREE)), (lambda a, b: a.flatten(1), (FREE, FREE)),
     (lambda a, b: torch.flatten(a, start_dim=1), (FREE, FREE)),
     (lambda a, b: a.view(a.size(0), -1), (FREE, FREE)), (lambda a, b: a.reshape(2, -1), (FREE, FREE)),
     (lambda a, b: a.reshape(2, 256), (FIXED, FIXED)),
     (lambda a, b: torch.flatten(a, 2).reshape(2, 4, 64).flatten(1), (FIXED, FIXED)),
     (lambda a, b: torch.flatten(a).view(2, 256), (FIXED, FIXED)),
     (lambda a, b: a.flatten().reshape(2, -1), (FIXED, FIXED))],
)  # fmt: skip
def test_a_flattening_of_channels_is_followed_and_others_are_not(function, wanted):
    net = ready(Flat(function)).double()
    assert found(net) == wanted
    x = images(2).double()
    assert torch.allclose(scaled(net, find_streams(net, 3))(x), net(x), rtol=1e-6, atol=1e-9)


@torch.no_grad()
@pytest.mark.parametrize(
    ("out", "groups", "order"),
    [(4, 4, FREE), (8, 4, FIXED), (2, 2, FIXED), (4, 2, FIXED), (6, 1, FREE)],
)
def test_a_grouped_layer_passes_factors_and_only_a_depthwise_one_the_order(out, groups, order):
    class Grouped(Between):
        def __init__(self) -> None:
            super().__init__(lambda a, b: b)
            self.two, self.three = nn.Conv2d(4, out, 1, groups=groups), nn.Conv2d(out, 2, 1)
            self.other = self.one

        def forward(self, x):
            return self.three(torch.relu(self.two(torch.relu(self.one(x)))))

    net = ready(Grouped()).double()
    streams, x = find_streams(net, 3), images(2).double()
    one, two, _ = streams.units
    assert streams.free_factor[streams.factor[one.writes]].all()
    assert (streams.free_order[streams.order[one.writes]] == order).all()
    together = len(one.writes) == len(two.writes) and np.array_equal(
        streams.order[one.writes], streams.order[two.writes]
    )
    assert together is (groups == out == 4)
    assert torch.allclose(scaled(net, streams)(x), net(x), rtol=1e-6, atol=1e-9)


@torch.no_grad()
def test_a_layer_that_runs_twice_reads_and_writes_one_factor():
    class Twice(Between):
        def __init__(self) -> None:
            super().__init__(None)
            self.two, self.three = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 2, 1)

        def forward(self, x):
            x = torch.relu(self.one(x))
            return self.three(torch.relu(self.two(torch.relu(self.two(x)))))

    net = ready(Twice()).double()
    streams, x = find_streams(net, 3), images(2).double()
    one, two, _ = streams.units
    assert np.array_equal(streams.factor[one.writes], streams.factor[two.writes])
    assert streams.free_factor[streams.factor[one.writes]].all()
    assert torch.allclose(scaled(net, streams)(x), net(x), rtol=1e-6, atol=1e-9)
