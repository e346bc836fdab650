"""Control: real images, the ones that zero-shot quantization does without."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from engine.core.errors import UserError
from engine.core.method import MethodCard, Settings
from engine.synthesis.base import SynthesisMethod
from engine.synthesis.statistics import StoredStatistics


@dataclass(frozen=True, slots=True, kw_only=True)
class RealSettings(Settings):
    """Nothing to choose."""


class Real(SynthesisMethod):
    """As many real training images: the ceiling to compare with."""

    card = MethodCard(
        name="real",
        title="Real images (control)",
        summary="No synthesis at all: real images. What having no data costs is measured against this.",
        paper="",
        needs=("real-images",),
    )
    Settings = RealSettings

    def __init__(
        self,
        teacher: nn.Module,
        stored: StoredStatistics,
        settings: Any,
        *,
        shape: tuple[int, int, int, int],
        rng: torch.Generator,
        real: Tensor | None = None,
    ) -> None:
        if real is None or len(real) < shape[0]:
            there = 0 if real is None else len(real)
            raise UserError(
                f"synthesis 'real' needs {shape[0]} real images, and there are {there}; "
                "give a folder with --set model.calibration=FOLDER or choose fewer --images"
            )
        self._images = real

    def images(self) -> Tensor:
        return self._images
