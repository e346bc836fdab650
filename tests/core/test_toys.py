"""The toys' answers are what their documentation says."""

import torch

from tests.toys import ConvWithoutBn, ResidualToy, TwoBlocks


def test_two_blocks_take_one_off():
    model = TwoBlocks().eval()
    images = torch.stack([torch.full((1, 2, 2), x) for x in (0.75, 1.0, 3.0)])
    assert model(images).flatten().tolist() == [0.0, 0.0, 2.0]


def test_conv_without_bn_gives_three_times_the_mean():
    assert ConvWithoutBn()(torch.tensor([[[[1.0, 3.0]]]])).item() == 6.0


def test_residual_toy_has_a_shortcut():
    block = ResidualToy().eval().block
    torch.nn.init.zeros_(block.conv.weight)
    torch.nn.init.zeros_(block.conv.bias)
    x = torch.rand(1, 4, 5, 5)
    assert torch.equal(block(x), x)
