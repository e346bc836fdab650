"""What leaves a network as it is leaves its similarity to itself at 1."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from engine.analysis.similarity.chain import all_weights, normalised, unit_weights
from engine.analysis.similarity.compare import cosine
from engine.analysis.similarity.flow import find_streams
from engine.analysis.similarity.matching import matched
from engine.analysis.similarity.streams import Unit
from tests.analysis.similarity.nets import NETS, Depthwise, Residual, rescale, shuffle
from tests.contracts.nets import images, ready


def state(model):
    return {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}


def chained(model):
    streams = find_streams(model, 3)
    return normalised(streams, all_weights(streams, state(model)))


def same(model, other):
    """Whether both compute the same."""
    x = images().double()
    return torch.allclose(model(x), other(x), rtol=1e-6, atol=1e-8)


@pytest.fixture(params=NETS, ids=lambda net: net.__name__)
def pair(request):
    """A network and a copy of it, in double precision, the copy to be changed."""
    model = ready(request.param()).double()
    return model, copy.deepcopy(model)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_positive_factors_between_layers_change_nothing(pair, seed):
    model, other = pair
    rescale(other, seed)
    assert same(model, other)
    raw = [cosine(a, b) for a, b in ((state(model)[f"{p}.weight"], state(other)[f"{p}.weight"])
           for p in find_streams(model, 3).layers)]  # fmt: skip
    assert min(raw) < 0.95
    ours, theirs = chained(model), chained(other)
    for path in ours:
        assert cosine(ours[path], theirs[path]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_channels_in_another_order_change_nothing_once_they_are_matched(pair, seed):
    model, other = pair
    shuffle(other, seed)
    rescale(other, seed)
    assert same(model, other)
    streams, ours, theirs = find_streams(model, 3), chained(model), chained(other)
    assert min(cosine(ours[path], theirs[path]) for path in streams.layers) < 0.9
    found, moved = matched(streams, ours, theirs)
    assert moved > 0
    for path in streams.layers:
        assert cosine(ours[path], found[path]) == pytest.approx(1, abs=1e-5)


def test_a_channel_that_two_layers_write_to_has_the_mean_of_their_lengths():
    """The geometric one, so that none of the two is the measure of the other."""

    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.other = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)
            self.last = nn.Conv2d(4, 2, 1)

        def forward(self, x):
            return self.last(torch.relu(self.one(x) + self.other(x)))

    weights = chained(ready(Sum()).double())
    one, other = (np.linalg.norm(weights[p].reshape(4, -1), axis=1) for p in ("one", "other"))
    assert one * other == pytest.approx(np.ones(4))


def test_another_network_is_not_similar(pair):
    model, _ = pair
    other = ready(type(model)(), seed=7).double()
    ours, theirs = chained(model), chained(other)
    assert all(cosine(ours[p], theirs[p]) < 0.9 for p in find_streams(model, 3).layers)


def test_a_change_in_one_layer_is_seen_in_that_layer_alone():
    model = ready(Residual()).double()
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.in2.weight[0, 0] = -other.in2.weight[0, 0]  # its rows keep their lengths
    ours, theirs = chained(model), chained(other)
    for path in find_streams(model, 3).layers:
        assert (cosine(ours[path], theirs[path]) < 1 - 1e-6) is (path == "in2"), path


def test_rows_of_a_chain_have_length_1_and_those_of_a_stream_so_on_the_average():
    model = ready(Residual()).double()
    found = chained(model)
    for path in ("in1", "bn1", "in2"):
        lengths = np.sqrt((found[path].reshape(len(found[path]), -1) ** 2).sum(1))
        assert np.allclose(lengths, 1)
    logs = [
        np.log(np.sqrt((found[p].reshape(6, -1) ** 2).sum(1))) for p in ("stem", "out1", "out2")
    ]
    assert not np.allclose(logs[0], 0)
    assert np.isfinite(logs).all()


class Bounded(nn.Module):
    """ReLU6 in the middle: a factor before it is not the same network."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.act, self.two = nn.Conv2d(3, 4, 1), nn.ReLU6(), nn.Conv2d(4, 5, 1)
        self.three = nn.Conv2d(5, 2, 1)

    def forward(self, x):
        return self.three(torch.relu(self.two(self.act(self.one(x))))).mean((2, 3))


def test_no_factor_passes_what_is_bounded():
    model = ready(Bounded()).double()
    found = chained(model)
    assert np.array_equal(found["one"], state(model)["one.weight"])
    rows = np.sqrt((found["two"].reshape(5, -1) ** 2).sum(1))
    assert np.allclose(rows, 1)


class Joined(nn.Module):
    """Two branches side by side; their reader sees the channels of both."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.head = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 5, 1), nn.Conv2d(9, 2, 1)

    def forward(self, x):
        return self.head(torch.relu(torch.cat([self.a(x), self.b(x)], 1))).mean((2, 3))


@torch.no_grad()
def test_channels_stay_in_their_branch_where_branches_are_joined():
    model = ready(Joined()).double()
    other = copy.deepcopy(model)
    for layer, first, count in ((other.a, 0, 4), (other.b, 4, 5)):
        order = torch.randperm(count, generator=torch.Generator().manual_seed(count))
        assert order.tolist() != [*range(count)]
        layer.weight.copy_(2 * layer.weight[order])
        layer.bias.copy_(2 * layer.bias[order])
        columns = other.head.weight[:, first : first + count]
        columns.copy_(columns[:, order].clone() / 2)
    assert same(model, other)
    found, moved = matched(find_streams(model, 3), chained(model), chained(other))
    assert moved > 0
    for path, weights in chained(model).items():
        assert cosine(weights, found[path]) == pytest.approx(1, abs=1e-9)


class Gated(nn.Module):
    """x times a gate of its own channels, as in squeeze and excitation."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.gate, self.two = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 2, 1)

    def forward(self, x):
        x = torch.relu(self.one(x))
        return self.two(x * torch.sigmoid(self.gate(x.mean((2, 3), keepdim=True)))).mean((2, 3))


@torch.no_grad()
def test_a_factor_passes_beside_a_gate_but_not_through_it():
    model = ready(Gated()).double()
    other = copy.deepcopy(model)
    a = torch.tensor([0.5, 2.0, 3.0, 0.25], dtype=torch.float64)
    other.one.weight.mul_(a.view(-1, 1, 1, 1))
    other.one.bias.mul_(a)
    for reader in (other.gate, other.two):
        reader.weight.div_(a.view(1, -1, 1, 1))
    assert same(model, other)
    ours, theirs = chained(model), chained(other)
    for path in ours:
        assert cosine(ours[path], theirs[path]) == pytest.approx(1, abs=1e-9)
    rows = np.sqrt((ours["gate"].reshape(4, -1) ** 2).sum(1))
    assert not np.allclose(rows, 1)


def test_a_channel_without_weights_is_divided_by_its_bias():
    model = ready(Depthwise()).double()
    with torch.no_grad():
        model.bn1.weight[2] = 0
    other = copy.deepcopy(model)
    rescale(other, 0)
    assert same(model, other)
    ours, theirs = chained(model), chained(other)
    for path in ("deep", "project"):
        assert cosine(ours[path], theirs[path]) == pytest.approx(1, abs=1e-9)
        assert np.allclose(ours[path], theirs[path])
    assert ours["bn1"][2] == 0
    bias = abs(float(model.bn1.bias[2]))  # channel 2 is its bias alone, whose length goes to `deep`
    raw = state(model)["deep.weight"][2] * bias
    assert np.allclose(ours["deep"][2], raw / np.sqrt((raw**2).sum()))


def with_statistics(norm):
    for tensor in norm.state_dict().values():
        if tensor.dim():
            tensor.copy_(torch.rand(tensor.shape, generator=torch.Generator().manual_seed(1)) + 0.5)
    return norm.eval()


@torch.no_grad()
@pytest.mark.parametrize("affine", [True, False])
def test_a_batchnorm_is_a_factor_and_a_bias(affine):
    norm = with_statistics(nn.BatchNorm2d(4, affine=affine)).double()
    unit = Unit(path="", reads=np.arange(4), writes=np.arange(4), eps=norm.eps)
    found = unit_weights(unit, {f".{name}": value for name, value in state(norm).items()})
    x = torch.randn(2, 4, 1, 1, dtype=torch.float64)
    wanted = norm(x)[..., 0, 0].numpy()
    assert np.allclose(x[..., 0, 0].numpy() * found.weight[:, 0] + found.bias, wanted)
