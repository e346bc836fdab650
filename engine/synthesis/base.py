"""What a synthesis method is: one object optimises one batch of images, a step at a time."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from engine.core.method import Losses, MethodCard, Settings
from engine.synthesis.statistics import Observation, StoredStatistics


class SynthesisMethod(ABC):
    """A batch of images in the making. Images are normalised as the teacher wants them, [n, c, h, w].

    The teacher is read, never changed: a method that must patch it (swing convolution) patches a copy.
    `latest` is what the teacher saw in the last step: statistics and logits, detached.
    """

    card: ClassVar[MethodCard]
    Settings: ClassVar[type[Settings]]

    total_steps: int = 0
    latest: Observation | None = None

    @abstractmethod
    def __init__(
        self,
        teacher: nn.Module,
        stored: StoredStatistics,
        settings: Any,
        *,
        shape: tuple[int, int, int, int],  # images, channels, height, width
        rng: torch.Generator,
        real: Tensor | None = None,  # as many real images, for methods that need them
    ) -> None: ...

    def step(self) -> Losses:
        """One optimisation step; the losses before it."""
        raise NotImplementedError(f"{self.card.name} has no steps")

    @abstractmethod
    def images(self) -> Tensor:
        """The images as they are now, detached."""

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed method needs to go on to the same numbers: tensors and plain numbers."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a saved state."""
