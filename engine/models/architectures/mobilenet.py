"""A mobile network for small images: inverted residuals with depthwise convolutions.

Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018, section 3 and
table 2; narrower and shallower, with its first stride behind the stem, for images of 28 pixels.
"""

import torch
from torch import Tensor, nn

STAGES = ((1, 16, 1, 2), (4, 24, 2, 2), (4, 40, 3, 1), (4, 64, 2, 1))  # t, c, n, s as in table 2


class InvertedResidual(nn.Module):
    """Widen, filter each channel by itself, narrow; the narrow end has no activation."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = in_channels * expansion
        self.expand: nn.Sequential | None = None
        if expansion != 1:
            self.expand = _conv_bn_relu6(in_channels, hidden, kernel=1)
        self.depthwise = _conv_bn_relu6(hidden, hidden, kernel=3, stride=stride, groups=hidden)
        self.project = nn.Sequential(
            nn.Conv2d(hidden, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels)
        )
        self.has_shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        wide = x if self.expand is None else self.expand(x)
        out: Tensor = self.project(self.depthwise(wide))
        return x + out if self.has_shortcut else out


class SmallMobileNet(nn.Module):
    """Stem, inverted residuals, a pointwise head, average pooling, one linear layer."""

    def __init__(self, in_channels: int, classes: int) -> None:
        super().__init__()
        self.stem = _conv_bn_relu6(in_channels, 16, kernel=3)
        blocks, width = [], 16
        for expansion, channels, count, stride in STAGES:
            for k in range(count):
                blocks.append(InvertedResidual(width, channels, 1 if k else stride, expansion))
                width = channels
        self.blocks = nn.Sequential(*blocks)
        self.head = _conv_bn_relu6(width, 192, kernel=1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(192, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.head(self.blocks(self.stem(x)))
        logits: Tensor = self.fc(torch.flatten(self.pool(x), 1))
        return logits


def _conv_bn_relu6(
    in_channels: int, out_channels: int, *, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(
            in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False
        ),
        nn.BatchNorm2d(out_channels),
        nn.ReLU6(),
    )
