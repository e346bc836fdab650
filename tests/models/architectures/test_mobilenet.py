"""MobileNetV2, small: inverted residuals are blocks, and their narrow ends have no activation."""

import pytest
import torch
from torch import nn

from engine.models.architectures.mobilenet import STAGES, InvertedResidual, SmallMobileNet
from engine.models.graph.blocks import find_blocks
from tests.contracts.nets import ready


@pytest.fixture(scope="module")
def model():
    return ready(SmallMobileNet(in_channels=1, classes=10))


def test_shapes_and_size(model):
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert sum(p.numel() for p in model.parameters()) < 500_000


def test_every_inverted_residual_is_one_block_between_stem_and_head(model):
    names = [block.name for block in find_blocks(model)]
    middle = [f"blocks.{k}" for k in range(sum(count for *_, count, _ in STAGES))]
    assert names == ["stem.0", *middle, "head.0", "fc"]


def test_a_block_has_a_shortcut_where_shapes_allow(model):
    """Table 2 of the paper: only the first of a stage changes width or size."""
    found = {b.name: b.has_shortcut for b in find_blocks(model) if b.name.startswith("blocks.")}
    expected = [k > 0 for _, _, count, _ in STAGES for k in range(count)]
    expected[0] = False  # as wide as the stem, but strided
    assert list(found.values()) == expected


def test_a_depthwise_filter_mixes_no_channels():
    block = ready(InvertedResidual(4, 6, stride=1, expansion=3))
    x = torch.rand(1, 12, 8, 8)
    moved = x.clone()
    moved[:, 5] += 1
    changed = (block.depthwise[0](moved) != block.depthwise[0](x)).flatten(2).any(2)
    assert changed[0].tolist() == [channel == 5 for channel in range(12)]


def test_the_bottleneck_is_linear_and_the_wide_ends_are_cut_at_6():
    block = ready(InvertedResidual(4, 4, stride=1, expansion=2))
    x = 50 * torch.randn(8, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    wide = block.depthwise(block.expand(x))
    assert (float(wide.min()), float(wide.max())) == (0.0, 6.0)
    assert block(x).min() < -1
    assert torch.equal(block(x) - x, (x + block.project(wide)) - x)
    assert not any(isinstance(m, (nn.ReLU, nn.ReLU6)) for m in block.project.modules())
