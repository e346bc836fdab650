"""What methods that train the whole network share: their knobs, and the way from knobs to the trainer."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from engine.core.method import knob
from engine.quantization.base import Distiller, QuantizationMethod, QuantizerSettings
from engine.quantization.distillation.learner import Learner
from engine.quantization.distillation.trainer import Distillation, DistillationSettings
from engine.quantization.plan import BlockLike, LayerBits
from engine.quantization.student import make_student


@dataclass(frozen=True, slots=True, kw_only=True)
class DistilledSettings(QuantizerSettings):
    """How long the student learns of the teacher, and from what."""

    steps: int = knob(
        2000,
        label="Steps",
        help="of the whole network, each of one mini-batch",
        low=0, high=1_000_000, quick=150, standard=600,
    )  # fmt: skip
    batch: int = knob(32, label="Mini-batch", help="images a step", low=1, high=1024)
    lr: float = knob(
        1e-3,
        label="Learning rate",
        help="Adam, along a cosine to 0",
        low=0,
        high=1,
    )
    temperature: float = knob(
        2.0,
        label="Temperature",
        help="softens the answers of teacher and student that are compared",
        low=0.1,
        high=100,
    )
    feature_weight: float = knob(
        1.0,
        label="Weight of the blocks' outputs",
        help="beside the network's answers, each block's error as a share of what it should put out",
        low=0,
        high=1000,
    )


class Distilled(QuantizationMethod):
    """The whole student is trained by the one trainer; a method says what moves in it."""

    @abstractmethod
    def learner(self, student: nn.Module, blocks: Sequence[BlockLike]) -> Learner:
        """What moves in a fitted student."""

    def steps_of_the_whole(self) -> int:
        return int(self.settings.steps)

    def reconstruct(self, *args: Any, **kwargs: Any) -> None:
        return None

    def distiller(
        self,
        teacher: nn.Module,
        blocks: Sequence[BlockLike],
        plan: Mapping[str, LayerBits],
        images: Tensor,
        rng: torch.Generator,
        *,
        fit: Callable[[nn.Module], None],
        classifier: bool,
    ) -> Distiller | None:
        chosen = self.settings
        if not chosen.steps:
            return None
        student = make_student(teacher, blocks, plan, self.makers())
        fit(student)
        return Distillation(
            teacher, self.learner(student, blocks), images,
            outputs=[block.paths[-1] for block in blocks],
            settings=DistillationSettings(
                steps=chosen.steps, batch=chosen.batch, temperature=chosen.temperature,
                feature_weight=chosen.feature_weight,
            ),
            classifier=classifier, rng=rng,
        )  # fmt: skip
