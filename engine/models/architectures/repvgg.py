"""A network that is trained with branches and runs without: each block is, exactly, one convolution.

Ding et al., "RepVGG: Making VGG-style ConvNets Great Again", CVPR 2021, sections 3.2 and 3.3.
"""

import copy

import torch
from torch import Tensor, nn

STAGES = ((16, 1, 1), (32, 3, 2), (64, 3, 2))  # channels, blocks, stride of the first block


class RepVGGBlock(nn.Module):
    """3x3, 1x1 and (where shapes allow) identity, each with its BatchNorm; then the sum, and a ReLU."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv3 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.identity: nn.BatchNorm2d | None = None
        if stride == 1 and in_channels == out_channels:
            self.identity = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        total = self.bn3(self.conv3(x)) + self.bn1(self.conv1(x))
        if self.identity is not None:
            total = total + self.identity(x)
        out: Tensor = self.relu(total)
        return out


class FusedRepVGGBlock(nn.Module):
    """The same function as one 3x3 convolution with bias and a ReLU."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.relu(self.conv(x))
        return out


class SmallRepVGG(nn.Module):
    """Seven blocks in three stages, average pooling, one linear layer."""

    def __init__(self, in_channels: int, classes: int) -> None:
        super().__init__()
        blocks, width = [], in_channels
        for channels, count, stride in STAGES:
            for k in range(count):
                blocks.append(RepVGGBlock(width, channels, 1 if k else stride))
                width = channels
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(torch.flatten(self.pool(self.blocks(x)), 1))
        return logits


def fuse(model: nn.Module) -> nn.Module:
    """A copy in eval mode whose RepVGG blocks are single convolutions: the same function, no BatchNorm."""
    fused = copy.deepcopy(model)
    for path, module in list(fused.named_modules()):
        if isinstance(module, RepVGGBlock):
            fused.set_submodule(path, FusedRepVGGBlock(fuse_block(module)))
    return fused.eval()  # the new modules too


@torch.no_grad()
def fuse_block(block: RepVGGBlock) -> nn.Conv2d:
    """The block's branches as one 3x3 convolution with bias (section 3.3, figure 4).

    Each branch is a convolution followed by an affine map per channel; a 1x1 kernel is the centre of a
    3x3 kernel of zeros, and the identity is a 1x1 kernel that is the unit matrix. Summed in float64, so
    that only one rounding to float32 is left.
    """
    conv3 = block.conv3
    kernel = torch.zeros_like(conv3.weight, dtype=torch.float64)
    bias = torch.zeros(conv3.out_channels, dtype=torch.float64, device=kernel.device)
    point = nn.functional.pad(block.conv1.weight, (1, 1, 1, 1))
    branches = [(conv3.weight, block.bn3), (point, block.bn1)]
    if block.identity is not None:
        unit = torch.eye(conv3.out_channels, device=kernel.device)[:, :, None, None]
        branches.append((nn.functional.pad(unit, (1, 1, 1, 1)), block.identity))
    for weight, bn in branches:
        scale, shift = _affine(bn)
        kernel += weight.double() * scale[:, None, None, None]
        bias += shift
    stride = conv3.stride[0]
    conv = nn.Conv2d(
        conv3.in_channels, conv3.out_channels, 3, stride, padding=1, device=kernel.device
    )
    conv.weight.copy_(kernel)
    assert conv.bias is not None
    conv.bias.copy_(bias)
    return conv.requires_grad_(conv3.weight.requires_grad)


def _affine(bn: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """BatchNorm in eval mode as scale and shift per channel, in float64."""
    assert bn.running_mean is not None
    assert bn.running_var is not None
    scale = bn.weight.double() / (bn.running_var.double() + bn.eps).sqrt()
    return scale, bn.bias.double() - bn.running_mean.double() * scale
