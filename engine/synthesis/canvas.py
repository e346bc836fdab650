"""What is optimised: pixels, or latents with a generator. A canvas renders images that have gradients.

A canvas is a torch module, so its parameters and its state need no code of their own. Whatever it
draws by chance comes from the batch's own generator of random numbers.
"""

from abc import abstractmethod

import torch
from torch import Tensor, nn

from engine.core.device import channels_last
from engine.core.randomness import seeded_init
from engine.synthesis.base import Request
from engine.synthesis.generator import LATENT, Generator


class Canvas(nn.Module):
    """The interface: `render` gives [n, channels, height, width] in the teacher's input space."""

    @abstractmethod
    def render(self, labels: Tensor | None) -> Tensor:
        """The images as they are now, for these labels where the canvas can be told what to show.

        `labels` are classes (int64 [n]), probabilities ([n, classes]), or None. A canvas that draws
        new latents for every call gives other images each time.
        """

    def project(self) -> None:
        """After every update: bring what left its bounds back, in place."""


class Pixels(Canvas):
    """The pixels themselves. With `bounds` (low, high) they are kept in the range of real pixels."""

    def __init__(self, start: Tensor, bounds: tuple[Tensor, Tensor] | None = None) -> None:
        super().__init__()
        self._bounds = bounds
        self.pixels = nn.Parameter(start.contiguous(memory_format=torch.channels_last))
        self.project()

    @classmethod
    def gaussian(cls, request: Request, *, bounded: bool = False) -> "Pixels":
        """From N(0, 1), the customary start."""
        start = torch.randn(request.shape, generator=request.rng).to(request.device)
        return cls(start, (request.low, request.high) if bounded else None)

    @classmethod
    def faint(cls, request: Request) -> "Pixels":
        """From an almost even grey, ±0.024: ZeroQ as released.

        Its code divides whole numbers from -127.5 to 126.5 by 5418.75, their variance, where the
        comment beside it promises a variance of 1.
        """
        whole = torch.randint(0, 255, request.shape, generator=request.rng)
        return cls(((whole - 127.5) / 5418.75).to(request.device))

    def render(self, labels: Tensor | None) -> Tensor:
        return self.pixels

    @torch.no_grad()
    def project(self) -> None:
        if self._bounds is not None:
            self.pixels.copy_(self.pixels.clamp(*self._bounds))


class LatentImages(Canvas):
    """GENIE's: a latent for each image, and a generator of the batch's own; both are optimised.

    `fresh` draws new latents for every rendering instead, so that the generator alone learns (the
    ablation GBA). `stretch` gives each colour a scale and an offset to learn behind the generator,
    whose tanh otherwise leaves a batch almost two-toned (not in the paper).
    """

    def __init__(self, request: Request, *, fresh: bool = False, stretch: bool = False) -> None:
        super().__init__()
        count, channels, height, width = request.shape
        with seeded_init(request.rng):
            self.generator = Generator(channels, height, width)
        z = torch.randn(count, LATENT, generator=request.rng)
        self.z = nn.Parameter(z, requires_grad=not fresh)
        self._rng, self._fresh = request.rng, fresh
        self.scale = nn.Parameter(torch.ones(1, channels, 1, 1)) if stretch else None
        self.offset = nn.Parameter(torch.zeros(1, channels, 1, 1)) if stretch else None
        self.to(request.device)
        channels_last(self.generator)

    def render(self, labels: Tensor | None) -> Tensor:
        z: Tensor = self.z
        if self._fresh:
            z = torch.randn(z.shape, generator=self._rng).to(z.device)
        images: Tensor = self.generator(z)
        if self.scale is not None and self.offset is not None:
            images = images * self.scale + self.offset
        return images
