"""Where tensors lie must never change what comes out, nor reach beyond their own memory."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from engine.core.layout import channels_last, drawn, within_bounds
from engine.quantization.grids.quantizers import Makers
from engine.quantization.layers import to_quant_layer


def _gradient(layer, x):
    layer.zero_grad()
    layer(x).square().sum().backward()
    return layer._parameters["weight"].grad.clone()


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 6, 7, 8, 12])
def test_the_gradient_of_a_narrow_strided_layer_writes_in_its_own_memory(channels):
    """torch 2.13 wrote past the end of it on AVX2: the process died with a corrupted heap."""
    layer = nn.Conv2d(channels, 6, 1, stride=2, bias=False)
    to_quant_layer(layer, 8, None, Makers())
    layer.weight_quantizer = None  # its float weight
    channels_last(layer)
    x = torch.randn(8, channels, 8, 8).contiguous(memory_format=torch.channels_last)
    for _ in range(20):
        got, _ = _gradient(layer, x), torch.randn(37)
    weight = layer.float_weight.detach().contiguous().requires_grad_()
    F.conv2d(x[..., ::2, ::2].contiguous(), weight).square().sum().backward()
    torch.testing.assert_close(got, weight.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "conv",
    [nn.Conv2d(4, 6, 1), nn.Conv2d(4, 6, 3, stride=2), nn.Conv2d(32, 6, 1, stride=2)],
    ids=["no stride", "a wider kernel", "enough channels"],
)
def test_other_layers_read_their_input_as_it_lies(conv):
    x = torch.randn(2, conv.in_channels, 8, 8).contiguous(memory_format=torch.channels_last)
    assert within_bounds(x, conv) is x


@pytest.mark.parametrize("shape", [(6, 5, 4, 3), (6, 1, 4, 3), (6, 5, 1, 1), (6, 7), (6, 4, 5)])
@pytest.mark.parametrize("last", [True, False])
def test_what_is_drawn_is_what_the_index_names_in_the_layout_of_the_whole(shape, last):
    x = torch.arange(float(torch.Size(shape).numel())).view(shape)
    if last and len(shape) == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    index = torch.tensor([4, 0, 4])
    found = drawn(x, index)
    assert torch.equal(found, torch.stack([x[4], x[0], x[4]]))
    assert found.stride() == x[index].stride()
