"""GENIE-D: latents and a small generator, optimised together, afresh for every batch of images.

Jeon, Kim, Kim: "GENIE: Show Me the Data for Quantization", CVPR 2023, arXiv:2212.04780, section 3.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ExponentialLR, ReduceLROnPlateau

from engine.core.device import channels_last
from engine.core.errors import UserError
from engine.core.method import Losses, MethodCard, Settings, knob
from engine.core.randomness import seeded_init
from engine.synthesis.base import SynthesisMethod
from engine.synthesis.generator import LATENT, Generator
from engine.synthesis.statistics import Observation, StoredStatistics, bn_loss
from engine.synthesis.swing import with_swing


@dataclass(frozen=True, slots=True, kw_only=True)
class GenieSettings(Settings):
    """GENIE-D's settings; the defaults are the paper's."""

    steps: int = knob(
        4000,
        label="Steps per batch",
        help="optimisation steps for each batch of images",
        low=1, high=100_000, quick=160, standard=500,
    )  # fmt: skip
    batch: int = knob(
        128, label="Images per batch", help="images that share one generator", low=2, high=1024
    )
    lr_latent: float = knob(
        0.1, label="Learning rate of the latents", help="Adam's learning rate", low=1e-6, high=10
    )
    lr_generator: float = knob(
        0.01, label="Learning rate of the generator", help="Adam's learning rate", low=1e-6, high=10
    )
    swing: bool = knob(
        True,
        label="Swing convolution",
        help="shift by a random pixel before every strided convolution",
    )
    image_weight: float = knob(
        1.0,
        label="Weight of the image prior",
        help="each image's own mean and standard deviation per colour are drawn towards 0 and 1",
        low=0, high=100,
    )  # fmt: skip
    precision: str = knob(
        "float32",
        label="Precision of the teacher's pass",
        help="bfloat16 is faster where the processor supports it",
        choices=("float32", "bfloat16"),
    )


class Genie(SynthesisMethod):
    """Minimises the BatchNorm distance of a batch over its latents z and its own generator G.

    In the released code the names of the two learning rates are swapped; the values here are the ones
    that take effect there: 0.1 for z, 0.01 for G.
    """

    card = MethodCard(
        name="genie",
        title="GENIE-D",
        summary="A small generator and its latents learn images with the statistics that the network keeps.",
        paper="Jeon et al., GENIE: Show Me the Data for Quantization, CVPR 2023",
        url="https://arxiv.org/abs/2212.04780",
        needs=("batchnorm",),
    )
    Settings = GenieSettings

    def __init__(
        self,
        teacher: nn.Module,
        stored: StoredStatistics,
        settings: GenieSettings,
        *,
        shape: tuple[int, int, int, int],
        rng: torch.Generator,
        real: Tensor | None = None,
    ) -> None:
        if not stored.paths:
            raise UserError(
                "synthesis 'genie' needs BatchNorm statistics, and this network has none"
            )
        self._stored, self._settings, self._rng = stored, settings, rng
        self._device = next(teacher.parameters()).device
        count, channels, height, width = shape
        with seeded_init(rng):
            self._generator = Generator(channels, height, width)
        self._generator.to(self._device)
        channels_last(self._generator)
        self._z = torch.randn(count, LATENT, generator=rng).to(self._device).requires_grad_()
        self._teacher = with_swing(teacher, rng) if settings.swing else teacher
        self._optimise_z = torch.optim.Adam([self._z], lr=settings.lr_latent)
        # fused: at 224 pixels the generator has a hundred million parameters, most of a step's memory traffic
        self._optimise_g = torch.optim.Adam(
            self._generator.parameters(), lr=settings.lr_generator, fused=True
        )
        self._schedule_z = ReduceLROnPlateau(
            self._optimise_z, factor=0.1, patience=100, min_lr=1e-4
        )
        self._schedule_g = ExponentialLR(self._optimise_g, gamma=0.95)
        self._images = torch.zeros(shape)
        self._steps_done = 0
        self.total_steps = settings.steps

    def step(self) -> Losses:
        images = self._generator(self._z).contiguous(memory_format=torch.channels_last)
        seen = self._look(images)
        losses = {"batchnorm": bn_loss(seen, self._stored)}
        if self._settings.image_weight:
            losses["image"] = self._settings.image_weight * image_prior(images)
        total = torch.stack(list(losses.values())).sum()
        self._optimise_z.zero_grad()
        self._optimise_g.zero_grad()
        total.backward()
        self._optimise_z.step()
        self._optimise_g.step()
        self._steps_done += 1
        self._schedule_z.step(total.detach())
        if self._steps_done % 100 == 0:
            self._schedule_g.step()
        # What is kept is what the losses were measured on: the images before this step's update.
        self._images = images.detach()
        self.latest = seen
        return {name: loss.detach() for name, loss in losses.items()}

    def _look(self, images: Tensor) -> Observation:
        fast = self._settings.precision == "bfloat16"
        with torch.autocast(self._device.type, torch.bfloat16, enabled=fast):
            seen = self._stored.observe(self._teacher, images)
        return Observation(seen.moments, seen.logits.float())

    def images(self) -> Tensor:
        return self._images

    def state_dict(self) -> dict[str, Any]:
        return {
            "z": self._z.detach(),
            "generator": self._generator.state_dict(),
            "optimise_z": self._optimise_z.state_dict(),
            "optimise_g": self._optimise_g.state_dict(),
            "schedule_z": _plain(self._schedule_z.state_dict()),
            "schedule_g": _plain(self._schedule_g.state_dict()),
            "rng": self._rng.get_state(),
            "images": self._images,
            "steps_done": self._steps_done,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._z.data.copy_(state["z"])
        self._generator.load_state_dict(state["generator"])
        self._optimise_z.load_state_dict(state["optimise_z"])
        self._optimise_g.load_state_dict(state["optimise_g"])
        self._schedule_z.load_state_dict(state["schedule_z"])
        self._schedule_g.load_state_dict(state["schedule_g"])
        self._rng.set_state(state["rng"])
        self._images = state["images"]
        self._steps_done = state["steps_done"]


def image_prior(images: Tensor) -> Tensor:
    """Mean over images of Σ over colours of mean² + (std − 1)², each image by itself."""
    std, mean = torch.std_mean(images, dim=(2, 3))
    return (mean.square() + (std - 1).square()).sum(1).mean()


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    """A scheduler's state without functions, its tensors as numbers, so that it loads as data only."""
    return {
        key: value.item() if isinstance(value, Tensor) else value
        for key, value in state.items()
        if not callable(value)
    }
