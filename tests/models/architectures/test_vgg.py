"""VGG, small: a plain chain that keeps no statistics at all."""

import pytest
import torch
from torch import nn

from engine.models.architectures.vgg import SmallVGG
from engine.models.graph.blocks import find_blocks, is_layer
from engine.synthesis.statistics.batchnorm import StoredStatistics, bn_gap


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return SmallVGG(in_channels=1, classes=10, side=28).eval().requires_grad_(False)


def test_shapes_and_size(model):
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert sum(p.numel() for p in model.parameters()) < 500_000


def test_nothing_normalises_and_every_layer_has_a_bias(model):
    assert not list(model.buffers())
    assert all(m.bias is not None for m in model.modules() if is_layer(m))


def test_every_layer_is_a_block_with_the_relu_behind_it(model):
    blocks = find_blocks(model)
    assert [len(block.layers) for block in blocks] == [1] * 8
    for block in blocks[:-1]:
        assert isinstance(model.get_submodule(block.paths[-1]), nn.ReLU)
    assert blocks[-1].paths == ("classifier.3",)


def test_weights_begin_with_the_variance_that_relus_ask_for(model):
    """He et al. 2015, equation 10: Var[w] = 2 / (inputs of a neuron)."""
    for layer in (m for m in model.modules() if is_layer(m)):
        inputs = layer.weight[0].numel()
        draws = layer.weight.numel()
        assert float(layer.weight.var() * inputs / 2) == pytest.approx(
            1, abs=5 * (2 / draws) ** 0.5
        )


def test_there_are_no_statistics_to_differ_from(model):
    stored = StoredStatistics(model, (1, 28, 28))
    assert stored.paths == []
    seen = stored.observe(model, torch.zeros(2, 1, 28, 28))
    assert seen.logits.shape == (2, 10)
    assert bn_gap(seen, stored) == []
