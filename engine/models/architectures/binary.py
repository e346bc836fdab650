"""A small VGG made for weights of one bit: BatchNorm behind every convolution, and hardtanh behind that.

After the VGG-small of Qin, Gong, Liu, Shen, Wei, Yu, Song: "Forward and Backward Information Retention for
Accurate Binary Neural Networks" (IR-Net), CVPR 2020, arXiv:1909.10788, narrower, and with one linear layer.
Hardtanh keeps what is passed on within [-1, 1], around 0, as signs are. There pooling comes before
BatchNorm; here behind hardtanh, so that each BatchNorm follows its convolution and can be folded into it.
"""

import torch
from torch import Tensor, nn

WIDTHS = (32, 64, 128)


class BinaryVGG(nn.Module):
    """Three stages of two convolutions without bias, and a linear layer; square images of `side` pixels."""

    def __init__(self, in_channels: int, classes: int, side: int) -> None:
        super().__init__()
        stages, width = [], in_channels
        for channels in WIDTHS:
            stages.append(_stage(width, channels))
            width = channels
        self.features = nn.Sequential(*stages)
        self.classifier = nn.Linear(width * (side // 2 ** len(WIDTHS)) ** 2, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(torch.flatten(self.features(x), 1))
        return logits


def _stage(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.Hardtanh(),
        nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.Hardtanh(),
        nn.MaxPool2d(2),
    )
