"""Nearest doubling and the convolution behind it, as one."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class DoublingConv2d(nn.Conv2d):
    """[n, in, h, w] to [n, out, 2h, 2w]: every pixel becomes four, then a 3 x 3 convolution, padding 1.

    Along one side, the doubled signal is u[2k] = u[2k + 1] = x[k], and so the convolution gives
    y[2k] = w0 x[k-1] + (w1 + w2) x[k] and y[2k + 1] = (w0 + w1) x[k] + w2 x[k+1]: a transposed
    convolution of stride 2 with the taps (w2, w1 + w2, w0 + w1, w0). It is the same up to rounding, with
    4/9 of the multiplications, and nothing of the doubled size is written before the result.
    Parameters are those of the convolution, by name and by shape.
    """

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__(channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        kernel = _folded(_folded(self.weight, dim=2), dim=3).transpose(0, 1)
        return functional.conv_transpose2d(x, kernel, self.bias, stride=2, padding=1)


def _folded(weight: Tensor, *, dim: int) -> Tensor:
    w0, w1, w2 = weight.unbind(dim)
    return torch.stack([w2, w1 + w2, w0 + w1, w0], dim)
