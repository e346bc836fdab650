"""A plain network without BatchNorm: nothing of its training data is stored in it but its weights.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015,
table 1, for images of 28 pixels: two 3x3 convolutions a stage, halved by pooling, and a classifier of
linear layers with dropout. Initialised as He et al. (ICCV 2015, equation 10), for want of BatchNorm.
"""

import torch
from torch import Tensor, nn

WIDTHS = (24, 48, 96)


class SmallVGG(nn.Module):
    """Three stages of two convolutions with bias, and two linear layers; square images of `side` pixels."""

    def __init__(self, in_channels: int, classes: int, side: int) -> None:
        super().__init__()
        stages, width = [], in_channels
        for channels in WIDTHS:
            stages.append(_stage(width, channels))
            width = channels
        self.features = nn.Sequential(*stages)
        self.classifier = nn.Sequential(
            nn.Linear(width * (side // 2 ** len(WIDTHS)) ** 2, 128),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(128, classes),
        )
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(torch.flatten(self.features(x), 1))
        return logits


def _stage(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(out_channels, out_channels, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )
