"""A small EDSR: images of twice the size, from residual blocks without BatchNorm.

Lim, Son, Kim, Nah, Lee: "Enhanced Deep Residual Networks for Single Image Super-Resolution", CVPR Workshops
2017, arXiv:1707.02921, figures 2c and 3, with few blocks of few channels. Enlarged by the rearrangement of
channels of Shi et al. (ESPCN, CVPR 2016), at the end: so nearly all is computed at the small size.
"""

from torch import Tensor, nn


class SmallEDSR(nn.Module):
    """Images [n, c, h, w] to [n, c, 2h, 2w], both normalised alike."""

    def __init__(self, channels: int = 1, width: int = 24, blocks: int = 4) -> None:
        super().__init__()
        self.head = nn.Conv2d(channels, width, 3, padding=1)
        self.body = nn.Sequential(*[ResidualBlock(width) for _ in range(blocks)])
        self.behind = nn.Conv2d(width, width, 3, padding=1)
        self.enlarge = nn.Sequential(nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2))
        self.tail = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        features = self.head(x)
        features = features + self.behind(self.body(features))
        image: Tensor = self.tail(self.enlarge(features))
        return image


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))): nothing behind the sum, and nothing is normalised."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.conv2(self.relu(self.conv1(x)))
        return out
