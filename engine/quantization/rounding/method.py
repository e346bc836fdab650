"""What methods that round layer by layer share: the layers of a block in order, by a policy."""

from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from engine.core.method import Machine
from engine.quantization.base import QuantizationMethod
from engine.quantization.plan import BlockLike
from engine.quantization.rounding.columns import ColumnRounding
from engine.quantization.rounding.layerwise import LayerwiseRounding
from engine.quantization.rounding.patches import LayerProblem

Policy = Callable[[LayerProblem], ColumnRounding]


class Layerwise(QuantizationMethod):
    """Its settings are PatchwiseSettings; a method says how the columns of a layer are rounded."""

    @abstractmethod
    def policy(self, rng: torch.Generator) -> Policy:
        """How a layer's columns are rounded, for the layers of one block; chance is drawn from `rng`."""

    def steps_per_block(self) -> int:
        return int(self.settings.steps)

    def reconstruct(
        self,
        student: nn.Module,
        block: BlockLike,
        *,
        x_teacher: Tensor,
        x_student: Tensor,
        y_teacher: Tensor,
        rng: torch.Generator,
    ) -> Machine | None:
        return LayerwiseRounding(
            student, block, x_teacher=x_teacher, x_student=x_student, patches=self.settings.patches,
            policy=self.policy(rng), steps=self.settings.steps, rng=rng,
        )  # fmt: skip
