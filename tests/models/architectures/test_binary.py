"""The VGG for weights of one bit: activations between -1 and 1, each BatchNorm behind its convolution."""

import pytest
import torch
from torch import nn

from engine.core.trace import watch_inputs
from engine.models.architectures.binary import BinaryVGG
from engine.models.graph.blocks import find_blocks, is_layer


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return BinaryVGG(in_channels=1, classes=10, side=28).eval().requires_grad_(False)


def test_shapes_and_size(model):
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert sum(p.numel() for p in model.parameters()) < 500_000


def test_all_that_a_layer_reads_is_between_minus_1_and_1_but_the_image(model):
    layers = [path for path, module in model.named_modules() if is_layer(module)]
    seen = {}
    with watch_inputs(model, layers[1:], lambda path, x: seen.update({path: x.clone()})):
        model(9 * torch.randn(4, 1, 28, 28, generator=torch.Generator().manual_seed(0)))
    assert len(seen) == 6
    assert all(float(x.abs().max()) <= 1 for x in seen.values())
    assert any(float(x.min()) < 0 for x in seen.values())


def test_every_layer_is_a_block_with_batchnorm_and_hardtanh_behind_it(model):
    blocks = find_blocks(model)
    assert [len(block.layers) for block in blocks] == [1] * 7
    for block in blocks[:-1]:
        kinds = [type(model.get_submodule(path)) for path in block.paths]
        assert kinds[:3] == [nn.Conv2d, nn.BatchNorm2d, nn.Hardtanh]
