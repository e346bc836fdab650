"""What a loss is, and what it may read of a step.

The losses themselves stand in engine/synthesis/losses, one idea a file.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from engine.synthesis.statistics.batchnorm import Observation


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One step, as every loss sees it."""

    images: Tensor  # as rendered, [n, c, h, w]
    shown: Tensor  # as the teacher saw them: shifted, cropped, ..
    seen: Observation
    step: int  # steps taken before this one
    labels: Tensor | None = None  # classes (int64 [n]), or probabilities ([n, classes])

    @property
    def target(self) -> Tensor:
        """The labels; a method that draws none has no business with a loss that asks for them."""
        assert self.labels is not None, "the composition draws no labels"
        return self.labels


class Loss(ABC):
    """A number to be made small; the weight stands in the composition, not here.

    `reads` names what must be measured for it beside the moments of the batch: "per-image" and
    "features" (see Observation). A loss with a memory of its own gives it as `state_dict`.
    """

    reads: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def __call__(self, scene: Scene) -> Tensor: ...

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a saved state."""
