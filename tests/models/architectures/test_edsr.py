"""EDSR, small: twice the size, without BatchNorm, its residual blocks as blocks."""

import pytest
import torch
from torch import nn

from engine.models.architectures.edsr import SmallEDSR
from engine.models.graph.blocks import find_blocks, is_layer
from engine.models.probing.output.find import find_output


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return SmallEDSR().eval().requires_grad_(False)


def test_images_of_twice_the_size_and_nothing_that_normalises(model):
    assert model(torch.zeros(2, 1, 14, 14)).shape == (2, 1, 28, 28)
    assert find_output(model, (1, 14, 14)).kind == "image"
    assert not list(model.buffers())
    assert sum(p.numel() for p in model.parameters()) < 500_000


def test_the_long_shortcut_makes_one_block_of_all_residual_blocks(model):
    """What the head gives is needed until the end of it, so that nothing inside has one input alone."""
    layers = [block.layers for block in find_blocks(model)]
    body = [f"body.{k}.conv{j}" for k in range(4) for j in (1, 2)]
    assert layers == [("head",), (*body, "behind"), ("enlarge.0",), ("tail",)]
    found = sorted(path for block in layers for path in block)
    assert found == sorted(path for path, module in model.named_modules() if is_layer(module))


def test_each_channel_of_four_becomes_a_place_of_two_by_two():
    model = SmallEDSR(width=1, blocks=1)
    shuffle = model.enlarge[1]
    values = torch.arange(4.0).view(1, 4, 1, 1)
    assert isinstance(shuffle, nn.PixelShuffle)
    assert shuffle(values)[0, 0].tolist() == [[0.0, 1.0], [2.0, 3.0]]
