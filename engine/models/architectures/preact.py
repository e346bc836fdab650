"""Residual networks with pre-activation: BatchNorm and ReLU stand before each convolution.

He et al., "Identity Mappings in Deep Residual Networks", ECCV 2016, figure 1 (b) and section 4.2. No
BatchNorm can be folded into the convolution before it, and block inputs are sums that no ReLU has cut.
"""

import torch
from torch import Tensor, nn

WIDTHS = (16, 32, 64)


class PreActBlock(nn.Module):
    """BatchNorm, ReLU, convolution, twice, beside a shortcut; nothing behind the sum.

    Where shapes change, the shortcut is a 1x1 convolution of the activated input, as in the paper's code.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.relu1 = nn.ReLU()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.relu2 = nn.ReLU()
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.shortcut: nn.Module = nn.Identity()
        self.projects = stride != 1 or in_channels != out_channels
        if self.projects:
            self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        active = self.relu1(self.bn1(x))
        residual = self.conv2(self.relu2(self.bn2(self.conv1(active))))
        out: Tensor = residual + self.shortcut(active if self.projects else x)
        return out


class SmallPreActResNet(nn.Module):
    """Three stages of so many blocks each; a last BatchNorm and ReLU before average pooling."""

    def __init__(self, blocks: tuple[int, int, int], in_channels: int, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, WIDTHS[0], 3, padding=1, bias=False)
        stages, width = [], WIDTHS[0]
        for channels, count in zip(WIDTHS, blocks, strict=True):
            stride = 1 if channels == WIDTHS[0] else 2
            stages.append(_stage(width, channels, count, stride))
            width = channels
        self.layer1, self.layer2, self.layer3 = stages
        self.bn = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer3(self.layer2(self.layer1(self.conv1(x))))
        logits: Tensor = self.fc(torch.flatten(self.pool(self.relu(self.bn(x))), 1))
        return logits


def _stage(in_channels: int, out_channels: int, count: int, stride: int) -> nn.Sequential:
    first = PreActBlock(in_channels, out_channels, stride)
    return nn.Sequential(
        first, *(PreActBlock(out_channels, out_channels, 1) for _ in range(count - 1))
    )
