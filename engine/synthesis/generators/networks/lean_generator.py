"""A generator for large images that grows them from few pixels: Quantoscope's own, not a paper's."""

from torch import Tensor, nn

from engine.synthesis.generators.networks.doubling import DoublingConv2d
from engine.synthesis.generators.networks.genie_generator import LATENT

SEED_SIDE = 14  # pixels at most, where an image begins
WIDTH, LEAST_WIDTH = 128, 32  # channels of the seed, and before the last doubling


def doublings(height: int, width: int) -> int:
    """How often a seed is doubled until it is the image; twice at least, as in GENIE's generator."""
    times = 2
    while max(height, width) > SEED_SIDE << times:
        times += 1
    return times


class LeanGenerator(nn.Module):
    """Latents [n, 256] to images [n, channels, height, width] with mean 0 and std 1 per channel.

    GENIE's generator begins at a quarter of the side: at 224 pixels its first layer alone has 103 million
    weights, which the optimiser holds four times, and its convolutions compute more than an EfficientNet.
    This one begins at 14 pixels at most and doubles as often as it takes, with half of the channels at each
    doubling. Up to 56 pixels a side it is GENIE's own.
    """

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        self._size, times = (height, width), doublings(height, width)
        self._seed_size = (-(-height // 2**times), -(-width // 2**times))
        self.project = nn.Linear(LATENT, WIDTH * self._seed_size[0] * self._seed_size[1])
        layers: list[nn.Module] = [nn.BatchNorm2d(WIDTH)]
        inside = WIDTH
        for _ in range(times - 1):
            outside = max(inside // 2, LEAST_WIDTH)
            layers += [DoublingConv2d(inside, outside), nn.BatchNorm2d(outside), nn.LeakyReLU(0.2)]
            inside = outside
        self.grow = nn.Sequential(*layers, DoublingConv2d(inside, channels), nn.Tanh())
        self.norm = nn.BatchNorm2d(channels, affine=False)

    def forward(self, z: Tensor) -> Tensor:
        seed = self.project(z).view(len(z), WIDTH, *self._seed_size)
        height, width = self._size
        images: Tensor = self.norm(self.grow(seed)[..., :height, :width])
        return images
