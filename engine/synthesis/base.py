"""What a synthesis method is: one object optimises one batch of images, a step at a time."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from engine.core.errors import UserError
from engine.core.method import Losses, MethodCard, Settings
from engine.core.needs import why_not
from engine.synthesis.statistics.batchnorm import Observation, StoredStatistics
from engine.synthesis.student import Student


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One batch of images, asked for: all that a method may know. It changes none of it but `rng`."""

    teacher: nn.Module  # in eval mode, without gradients
    stored: StoredStatistics
    settings: Any  # of the method's own class
    shape: tuple[int, int, int, int]  # images, channels, height, width
    rng: torch.Generator  # of this batch alone, on the CPU
    mean: tuple[float, ...]  # per channel, of pixels in [0, 1]: how images are normalised
    std: tuple[float, ...]
    classes: int = 0  # scores that the teacher gives; 0 where it is no classifier
    batch: int = 0  # which of the run's batches this is
    offset: int = 0  # how many of the run's images come before this batch
    resize: int = 0  # short side that foreign images are brought to before the crop; 0: the height
    real: Tensor | None = None  # real images: as many, or all there are where labels are needed
    real_labels: Tensor | None = None  # int64, one for each real image
    real_notes: tuple[str, ...] = ()  # what the user should know of how those were read
    student: Student | None = (
        None  # the teacher at few bits: a method's own, to train or compete with
    )
    memory: dict[str, Any] = field(default_factory=dict)  # what `remember` gave a batch before

    @property
    def device(self) -> torch.device:
        """Where the teacher is."""
        return next(self.teacher.parameters()).device

    @property
    def low(self) -> Tensor:
        """A black pixel in the teacher's input space, [channels, 1, 1]."""
        return -self._column(self.mean) / self._column(self.std)

    @property
    def high(self) -> Tensor:
        """A white pixel in the teacher's input space, [channels, 1, 1]."""
        return (1 - self._column(self.mean)) / self._column(self.std)

    def _column(self, values: tuple[float, ...]) -> Tensor:
        return torch.tensor(values, device=self.device)[:, None, None]


def _way_out(reason: str) -> str:
    """Behind a reason that names none."""
    if "set model." in reason:
        return ", or choose another method"
    return "; choose --synthesis noise, or real with --set model.calibration=FOLDER"


class SynthesisMethod(ABC):
    """A batch of images in the making. Images are normalised as the teacher wants them, [n, c, h, w].

    The teacher is read, never changed: a method that must patch it (swing convolution) patches a copy.
    `latest` is what the teacher saw in the last step: statistics and logits, detached.

    Batches are made one after another, each by an object of its own. What they share goes from one to
    the next by `remember` and `Request.memory`: class centres, or a generator that is trained once.
    """

    card: ClassVar[MethodCard]
    Settings: ClassVar[type[Settings]]
    at_once: ClassVar[bool] = False  # a run's images are one batch: their source is read once

    total_steps: int = 0
    latest: Observation | None = None

    def __init__(self, request: Request) -> None:
        """Begin the batch; UserError where the network lacks what the card says the method needs."""
        facts = {
            "batchnorm_layers": len(request.stored.paths),
            "convolutions": sum(isinstance(m, nn.Conv2d) for m in request.teacher.modules()),
            "classes": request.classes,
            "calibration_images": request.real is not None,
            "calibration_labels": request.real_labels is not None,
        }
        reason = why_not(self.card.needs, facts)
        if reason:
            raise UserError(
                f"synthesis {self.card.name!r} cannot work here: {reason}{_way_out(reason)}"
            )
        self.request = request
        # what the user should know: how real images were read, what was left out, and why
        self.notes = [*request.real_notes]

    @classmethod
    def planned_steps(cls, settings: Any, batch: int) -> int:  # noqa: ARG003
        """Steps that the batch of this number (from 0) will take.

        The same for each, unless a method trains once and then only draws: then 0 for later ones.
        """
        return int(getattr(settings, "steps", 0))

    def step(self) -> Losses:
        """One optimisation step; the losses before it."""
        raise NotImplementedError(f"{self.card.name} has no steps")

    @abstractmethod
    def images(self) -> Tensor:
        """The images as they are now, detached."""

    def labels(self) -> Tensor | None:
        """What the images were made to show: classes (int64 [n]), probabilities ([n, classes]) or None."""
        return None

    def readings(self) -> dict[str, float]:
        """Numbers beside the losses that are worth watching."""
        return {}

    def remember(self) -> dict[str, Any]:
        """What later batches should know, asked when the last step is done: tensors and plain numbers.

        It replaces what was there, so whoever adds to `request.memory` returns both.
        """
        return {}

    def student_weights(self) -> dict[str, Tensor]:
        """What a student learned beside the images: floats by the teacher's names; mostly nothing."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed method needs to go on to the same numbers: tensors and plain numbers."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a saved state."""
