"""The small generator that GENIE optimises together with its latents.

Jeon et al., "GENIE: Show Me the Data for Quantization", CVPR 2023, arXiv:2212.04780, section 3.1.
"""

from torch import Tensor, nn

from engine.synthesis.generators.networks.doubling import DoublingConv2d

LATENT = 256
_UPSAMPLINGS = 4  # two doublings: the side of the image is divided by 4


def seed_size(height: int, width: int) -> tuple[int, int]:
    """The sides before the doublings, rounded up."""
    return -(-height // _UPSAMPLINGS), -(-width // _UPSAMPLINGS)


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
            nn.Identity(),  # the doubling is in what follows; older checkpoints count on the places
            DoublingConv2d(128, 64),
            nn.BatchNorm2d(64),
            nn.LeakyReLU(0.2),
            nn.Identity(),
            DoublingConv2d(64, channels),
            nn.Tanh(),
        )
        self.norm = nn.BatchNorm2d(channels, affine=False)

    def forward(self, z: Tensor) -> Tensor:
        seed = self.project(z).view(len(z), 128, *self._seed_size)
        height, width = self._size
        images: Tensor = self.norm(self.grow(seed)[..., :height, :width])
        return images
