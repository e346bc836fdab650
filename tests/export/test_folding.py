"""BatchNorm folded into codes: the same function, step sizes above 0, and only where nobody else reads."""

from collections import Counter

import numpy as np
import torch
from torch import nn

from engine.export.graph.folding import scaled
from engine.export.graph.write import write_graph
from engine.export.network import WeightGrid
from tests.contracts.nets import TinyResNet, images, ready
from tests.export.graphs import network, ran


def kinds(written):
    return Counter(node.op_type for node in written.model.graph.node)


def test_a_scaled_grid_has_the_scaled_values_and_counts_from_the_other_end_below_0():
    grid = WeightGrid(
        bits=3, codes=np.array([[0, 7, 2], [0, 7, 2]], np.uint8), scale=np.array([0.5, 0.5], np.float32),
        zero_point=np.array([1, 1], np.uint8),
    )  # fmt: skip
    found = scaled(grid, np.array([2.0, -2.0]))
    assert found.codes.tolist() == [[0, 7, 2], [7, 0, 5]]
    assert found.zero_point.tolist() == [1, 6]
    assert found.scale.tolist() == [1, 1]
    assert found.values().tolist() == [[-1, 6, 1], [1, -6, -1]]


def test_every_batchnorm_behind_a_layer_is_folded_and_the_network_computes_the_same():
    model = ready(TinyResNet())
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight[::2] *= -1
            module.weight[0] = 0
    of = network(model, (3, 8, 8), bits=4)
    written = write_graph(of, "n")
    assert kinds(written)["BatchNormalization"] == 0
    theirs, ours = ran(of, images(), written)
    np.testing.assert_allclose(theirs, ours, rtol=1e-5, atol=1e-5)
    scales = [t for t in written.model.graph.initializer if t.name.endswith(".scale")]
    assert scales
    assert all((np.frombuffer(t.raw_data, np.float32) >= 0).all() for t in scales)


class Shared(nn.Module):
    """One layer behind which both a BatchNorm and a sum read; and one layer that runs twice."""

    def __init__(self):
        super().__init__()
        self.read, self.twice = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
        self.a, self.b, self.c = (nn.BatchNorm2d(3) for _ in range(3))

    def forward(self, x):
        x = self.read(x)
        x = x + self.a(x)
        return self.c(self.twice(self.b(self.twice(x))))


def test_a_layer_that_others_read_too_or_that_runs_twice_keeps_its_batchnorm():
    of = network(ready(Shared()), (3, 8, 8), bits=4)
    written = write_graph(of, "n")
    assert kinds(written)["BatchNormalization"] == 3
    theirs, ours = ran(of, images(), written)
    np.testing.assert_allclose(theirs, ours, rtol=1e-5, atol=1e-5)
    assert kinds(written)["DequantizeLinear"] == 2, "codes that serve twice are kept once"


def test_ends_are_what_the_named_modules_give_before_anybody_writes_into_it():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True), nn.Conv2d(4, 2, 1))
    of = network(ready(model), (3, 8, 8), ends=("0", "2"))
    written = write_graph(of, "n")
    from engine.export.graph.runtime import Session

    session = Session(written.model.SerializeToString(), 1, also=list(written.ends.values()))
    _, first, last = session(images().numpy())
    with torch.no_grad():
        np.testing.assert_allclose(first, of.module[0](images()).numpy(), rtol=1e-5, atol=1e-5)
        assert first.min() < 0
        np.testing.assert_allclose(last, of.module(images()).numpy(), rtol=1e-5, atol=1e-5)
