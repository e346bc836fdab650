"""Pre-activation ResNet, small: BatchNorm and ReLU come first, and nothing stands behind a sum."""

import pytest
import torch
from torch.nn import functional

from engine.models.architectures.preact import PreActBlock, SmallPreActResNet
from engine.models.graph.blocks import find_blocks
from tests.contracts.nets import ready


@pytest.fixture(scope="module")
def model():
    return ready(SmallPreActResNet(blocks=(1, 2, 2), in_channels=1, classes=10))


def images(n, *shape):
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(1))


def norm(bn, x):
    return functional.batch_norm(x, bn.running_mean, bn.running_var, bn.weight, bn.bias)


def test_shapes_and_size(model):
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert sum(p.numel() for p in model.parameters()) < 500_000


@pytest.mark.parametrize(("channels", "stride"), [(4, 1), (6, 2)], ids=["identity", "projection"])
def test_data_flows_as_in_the_paper(channels, stride):
    """y = h(x) + W2 relu(bn(W1 relu(bn(x)))); h is the identity, or a projection of relu(bn(x))."""
    block, x = ready(PreActBlock(4, channels, stride), seed=3), images(2, 4, 8, 8)
    active = norm(block.bn1, x).relu()
    inner = functional.conv2d(active, block.conv1.weight, stride=stride, padding=1)
    residual = functional.conv2d(norm(block.bn2, inner).relu(), block.conv2.weight, padding=1)
    shortcut = x if stride == 1 else functional.conv2d(active, block.shortcut.weight, stride=stride)
    assert torch.allclose(block(x), shortcut + residual, atol=1e-5)
    assert block(x).min() < 0, "no ReLU behind the sum"


def test_the_identity_path_is_untouched_from_block_to_block():
    block, x = ready(PreActBlock(4, 4, 1)), images(2, 4, 8, 8)
    block.conv2.weight.zero_()
    assert torch.equal(block(x), x)


def test_blocks_begin_with_batchnorm_so_no_layer_reads_their_input(model):
    blocks = {block.name: block for block in find_blocks(model)}
    assert list(blocks) == [
        "conv1",
        "layer1.0",
        "layer2.0",
        "layer2.1",
        "layer3.0",
        "layer3.1",
        "fc",
    ]
    residual = [blocks[name] for name in blocks if name.startswith("layer")]
    assert all(block.readers == () for block in residual)
    shortcuts = [block.has_shortcut for block in residual]
    assert shortcuts == [True, False, True, False, True]  # a projection reads what bn1 has made


def test_the_stem_keeps_away_from_the_batchnorm_of_the_first_block(model):
    stem = find_blocks(model)[0]
    assert stem.paths == ("conv1",)
