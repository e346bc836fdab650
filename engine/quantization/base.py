"""What a quantization method is: a way to choose the codes of one block after another."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from engine.core.method import Machine, MethodCard, Settings
from engine.quantization.plan import BlockLike


class RestLike(Protocol):
    """The teacher behind a block (engine.models.rest.Rest is one)."""

    teacher: nn.Module

    def __call__(self, y: Tensor, index: Tensor) -> Tensor:
        """Logits from outputs y of the block, for the images of that index; gradients pass."""
        ...


class QuantizationMethod(ABC):
    """Takes blocks in order of execution; earlier blocks of the student are already quantized.

    When `reconstruct` is called, the block's weights are at nearest codes on searched grids and its
    activations are fitted. It returns a step machine that improves them, or None if there is nothing
    to do. Once the machine's steps are taken, `finish` leaves the block with whole codes.
    """

    card: ClassVar[MethodCard]
    Settings: ClassVar[type[Settings]]
    looks_ahead: ClassVar[bool] = False  # `reconstruct` takes `rest`, the teacher behind the block

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    def steps_per_block(self) -> int:
        """How many steps each block's machine will take; 0 where there is none."""
        return 0

    def steps_of(self, block: BlockLike) -> int:
        """How many steps this block's machine will take."""
        return self.steps_per_block()

    def calibration(self, images: Tensor) -> Tensor:
        """The images that the blocks are calibrated with, from those that were made."""
        return images

    @abstractmethod
    def reconstruct(
        self,
        student: nn.Module,
        block: BlockLike,
        *,
        x_teacher: Tensor,  # the block's input in the teacher, for all images
        x_student: Tensor,  # the same in the student, with the errors of earlier blocks
        y_teacher: Tensor,  # the teacher's output, to be met
        rng: torch.Generator,
    ) -> Machine | None: ...

    def finish(self, student: nn.Module, block: BlockLike) -> None:
        """Settle the block: soft rounding becomes codes, dropping ends."""
