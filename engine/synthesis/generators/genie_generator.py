"""The small generator that GENIE optimises together with its latents.

Jeon et al., "GENIE: Show Me the Data for Quantization", CVPR 2023, arXiv:2212.04780, section 3.1.
"""

from torch import Tensor, nn

LATENT = 256
_UPSAMPLINGS = 4  # two doublings: the side of the image is divided by 4


def seed_size(height: int, width: int) -> tuple[int, int]:
    """The sides before the doublings, rounded up."""
    return -(-height // _UPSAMPLINGS), -(-width // _UPSAMPLINGS)


class Double(nn.Module):
    """Every pixel becomes four (nearest upsampling), in memory order: twice as fast as nn.Upsample here."""

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        pixels = x.permute(0, 2, 3, 1).reshape(n, h, 1, w, 1, c)
        return pixels.expand(n, h, 2, w, 2, c).reshape(n, 2 * h, 2 * w, c).permute(0, 3, 1, 2)


class Generator(nn.Module):
    """Latents [n, 256] to images [n, channels, height, width] with mean 0 and std 1 per channel.

    Sides that 4 does not divide are rounded up inside and cropped at the end (the paper's networks
    never need this). Stays in training mode: the last BatchNorm normalises each batch by itself.
    """

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        self._size = (height, width)
        self._seed_size = seed_size(height, width)
        self.project = nn.Linear(LATENT, 128 * self._seed_size[0] * self._seed_size[1])
        self.grow = nn.Sequential(
            nn.BatchNorm2d(128),
            Double(),
            nn.Conv2d(128, 64, 3, padding=1),
            nn.BatchNorm2d(64),
            nn.LeakyReLU(0.2),
            Double(),
            nn.Conv2d(64, channels, 3, padding=1),
            nn.Tanh(),
        )
        self.norm = nn.BatchNorm2d(channels, affine=False)

    def forward(self, z: Tensor) -> Tensor:
        seed = self.project(z).view(len(z), 128, *self._seed_size)
        height, width = self._size
        images: Tensor = self.norm(self.grow(seed)[..., :height, :width])
        return images
