"""What images must survive on their way to the teacher: shifts, flips, crops. Gradients pass through."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

Transform = Callable[[Tensor, torch.Generator, int], Tensor]  # images, rng, steps taken -> images


@dataclass(frozen=True, slots=True)
class Roll:
    """A shift of the whole batch by up to so many pixels each way, around the edges (DeepInversion)."""

    pixels: int

    def __call__(self, images: Tensor, rng: torch.Generator, step: int) -> Tensor:
        dy, dx = torch.randint(-self.pixels, self.pixels + 1, (2,), generator=rng).tolist()
        return images.roll((dy, dx), (2, 3))


@dataclass(frozen=True, slots=True)
class Flip:
    """The whole batch mirrored left to right, with this probability."""

    probability: float = 0.5

    def __call__(self, images: Tensor, rng: torch.Generator, step: int) -> Tensor:
        return images.flip(3) if _chance(self.probability, rng) else images


@dataclass(frozen=True, slots=True)
class Coarse:
    """Averages of 2x2 pixels for the first `steps` steps: the large shapes first (DeepInversion)."""

    steps: int

    def __call__(self, images: Tensor, rng: torch.Generator, step: int) -> Tensor:
        return F.avg_pool2d(images, 2) if step < self.steps else images


@dataclass(frozen=True, slots=True)
class LocalCrop:
    """IntraQ's local object reinforcement: with `probability`, every image its own crop, enlarged again.

    A crop covers `least` to 1 of the image's area at a ratio of 3/4 to 4/3, is mirrored half of the
    time, and is brought back to the image's size bilinearly.
    """

    least: float = 0.5
    probability: float = 0.5

    def __call__(self, images: Tensor, rng: torch.Generator, step: int) -> Tensor:
        if not _chance(self.probability, rng):
            return images
        n = len(images)
        area, ratio, place_y, place_x, mirror = torch.rand(5, n, generator=rng)
        area = self.least + (1 - self.least) * area
        shape = torch.exp((2 * ratio - 1) * torch.tensor(4 / 3).log())  # width : height
        tall, wide = (area / shape).sqrt().clamp_max(1), (area * shape).sqrt().clamp_max(1)
        # In the sampler's coordinates an image reaches from -1 to 1: a share s of a side has the
        # half-width s, and its centre lies within 1 - s of the middle.
        theta = torch.zeros(n, 2, 3)
        theta[:, 0, 0] = torch.where(mirror < 0.5, -wide, wide)
        theta[:, 0, 2] = (2 * place_x - 1) * (1 - wide)
        theta[:, 1, 1] = tall
        theta[:, 1, 2] = (2 * place_y - 1) * (1 - tall)
        grid = F.affine_grid(theta.to(images), list(images.shape), align_corners=False)
        cropped = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
        return cropped.contiguous(memory_format=torch.channels_last)


def low_pass(images: Tensor, cutoff: float) -> Tensor:
    """The images without fine detail: frequencies weighted by exp(-d² / 2·cutoff²), d in periods a side.

    After the synthesis, not during it (Kim et al., SynQ, ICLR 2025, low-pass filter). 8 suits 32
    pixels, 20 to 100 suit 224. The mean of an image is kept.
    """
    height, width = images.shape[-2:]
    dy = torch.fft.fftfreq(height, 1 / height)[:, None]
    dx = torch.fft.rfftfreq(width, 1 / width)[None]
    keep = torch.exp(-(dy.square() + dx.square()) / (2 * cutoff**2)).to(images.device)
    filtered: Tensor = torch.fft.irfft2(torch.fft.rfft2(images) * keep, s=(height, width))
    return filtered


def _chance(probability: float, rng: torch.Generator) -> bool:
    return bool(torch.rand((), generator=rng) < probability)
