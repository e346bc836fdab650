"""GENIE's canvas: latents and a small generator, optimised together."""

import torch
from torch import Tensor, nn

from engine.core.layout import channels_last
from engine.core.sampling.randomness import seeded_init
from engine.synthesis.base import Request
from engine.synthesis.canvas import Canvas
from engine.synthesis.generators.networks.genie_generator import LATENT, Generator
from engine.synthesis.generators.networks.lean_generator import LeanGenerator


class LatentImages(Canvas):
    """GENIE's: a latent for each image, and a generator of the batch's own; both are optimised.

    `fresh` draws new latents for every rendering instead, so that the generator alone learns (the
    ablation GBA). `stretch` gives each colour a scale and an offset to learn behind the generator,
    whose tanh otherwise leaves a batch almost two-toned (not in the paper). `lean`: a generator that begins
    at fewer pixels (not in the paper).
    """

    def __init__(
        self, request: Request, *, fresh: bool = False, stretch: bool = False, lean: bool = False
    ) -> None:
        super().__init__()
        count, channels, height, width = request.shape
        with seeded_init(request.rng):
            made = LeanGenerator if lean else Generator
            self.generator = made(channels, height, width)
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
