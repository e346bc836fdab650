"""GENIE-D as published code writes it: doubling, then convolution; padding, then swing; torch's Adam.

It computes what `engine.synthesis.methods.genie` computes, up to rounding; a test holds the two together.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.core.layout import contiguous
from engine.core.trace import watch_inputs
from engine.synthesis.generators.networks.genie_generator import LATENT, seed_size
from engine.synthesis.statistics.batchnorm import StoredStatistics


class PlainGenerator(nn.Module):
    """The paper's generator; its parameters bear the names that the engine's have."""

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        self._size, self._seed_size = (height, width), seed_size(height, width)
        self.project = nn.Linear(LATENT, 128 * self._seed_size[0] * self._seed_size[1])
        self.grow = nn.Sequential(
            nn.BatchNorm2d(128),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(128, 64, 3, padding=1),
            nn.BatchNorm2d(64),
            nn.LeakyReLU(0.2),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(64, channels, 3, padding=1),
            nn.Tanh(),
        )
        self.norm = nn.BatchNorm2d(channels, affine=False)

    def forward(self, z: Tensor) -> Tensor:
        seed = self.project(z).view(len(z), 128, *self._seed_size)
        height, width = self._size
        images: Tensor = self.norm(self.grow(seed)[..., :height, :width])
        return images


class PlainSwing(nn.Module):
    """A strided convolution behind a reflected border of one pixel, cut at a random place."""

    def __init__(self, conv: nn.Module, rng: torch.Generator) -> None:
        super().__init__()
        self.conv, self._rng = conv, rng

    def forward(self, x: Tensor) -> Tensor:
        dy, dx = torch.randint(0, 3, (2,), generator=self._rng).tolist()
        height, width = x.shape[-2:]
        if min(height, width) > 1:
            x = functional.pad(x, (1, 1, 1, 1), mode="reflect")[
                ..., dy : dy + height, dx : dx + width
            ]
        out: Tensor = self.conv(x)
        return out


class PlainGenie:
    """One batch of images in the making: `step` gives the two losses before it."""

    def __init__(
        self,
        teacher: nn.Module,
        stored: StoredStatistics,
        shape: tuple[int, int, int, int],
        canvas: dict[str, Tensor],  # the state of the engine's own canvas: z, and the generator's
        rng: torch.Generator,
    ) -> None:
        self._stored = stored
        self._model = copy.deepcopy(teacher)
        contiguous(self._model)
        for path, module in list(self._model.named_modules()):
            if isinstance(module, nn.Conv2d) and tuple(module.stride) != (1, 1):
                self._model.set_submodule(path, PlainSwing(module, rng))
        self._generator = PlainGenerator(*shape[1:])
        start = "generator."
        self._generator.load_state_dict(
            {k.removeprefix(start): v for k, v in canvas.items() if k.startswith(start)}
        )
        contiguous(self._generator)
        self._z = nn.Parameter(canvas["z"].detach().clone())
        self._latents = torch.optim.Adam([self._z], lr=0.1)
        self._weights = torch.optim.Adam(self._generator.parameters(), lr=0.01)
        self._plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self._latents, factor=0.1, patience=100, min_lr=1e-4
        )
        self._falling = torch.optim.lr_scheduler.StepLR(self._weights, step_size=100, gamma=0.95)

    def step(self) -> dict[str, Tensor]:
        seen: dict[str, Tensor] = {}
        images = self._generator(self._z)
        with watch_inputs(self._model, self._stored.paths, seen.__setitem__):
            self._model(images)
        statistics = torch.zeros(())
        for path, wanted in zip(self._stored.paths, self._stored.moments, strict=True):
            std, mean = torch.std_mean(seen[path], dim=(0, 2, 3))
            gap = (mean - wanted.mean).square() + (std - wanted.std).square()
            statistics = statistics + gap.mean()
        std, mean = torch.std_mean(images, dim=(2, 3))
        prior = (mean.square() + (std - 1).square()).sum(1).mean()
        total = statistics + prior
        self._latents.zero_grad()
        self._weights.zero_grad()
        total.backward()
        self._latents.step()
        self._weights.step()
        self._plateau.step(total.detach())
        self._falling.step()
        return {"batchnorm": statistics.detach(), "image": prior.detach()}

    @torch.no_grad()
    def images(self) -> Tensor:
        """The batch as it now is, [n, c, h, w]."""
        made: Tensor = self._generator(self._z)
        return made
