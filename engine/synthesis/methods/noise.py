"""Control: Gaussian noise instead of images. What a method gains over it is what synthesis is worth."""

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.core.method import MethodCard, Settings
from engine.synthesis.base import Request, SynthesisMethod


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseSettings(Settings):
    """Nothing to choose."""


class Noise(SynthesisMethod):
    """Every pixel drawn from N(0, 1), in the teacher's normalised input space."""

    card = MethodCard(
        name="noise",
        title="Noise (control)",
        summary="No synthesis at all: Gaussian noise. The floor that every method must beat.",
        paper="",
    )
    Settings = NoiseSettings

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self._images = torch.randn(request.shape, generator=request.rng)

    def images(self) -> Tensor:
        return self._images
