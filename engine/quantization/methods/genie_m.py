"""GENIE-M: rounding, weight step sizes and activation step sizes learned together, block by block.

Jeon, Kim, Kim: "GENIE: Show Me the Data for Quantization", CVPR 2023, arXiv:2212.04780, section 4.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.core.method import Machine, MethodCard, knob
from engine.quantization.base import QuantizationMethod, QuantizerSettings
from engine.quantization.plan import BlockLike
from engine.quantization.reconstruction import BlockReconstruction, ReconstructionSettings, settle


@dataclass(frozen=True, slots=True, kw_only=True)
class GenieMSettings(QuantizerSettings):
    """GENIE-M's settings; the defaults are the released ones."""

    steps: int = knob(
        20_000,
        label="Steps per block",
        help="reconstruction steps for each block",
        low=0, high=1_000_000, quick=120, standard=800,
    )  # fmt: skip
    batch: int = knob(32, label="Mini-batch", help="images a step", low=1, high=1024)
    lr_rounding: float = knob(
        1e-3,
        label="Learning rate of the rounding",
        help="Adam, for V; with few steps it must be larger, or no weight has time to change its mind",
        low=0, high=1, quick=2e-2, standard=5e-3,
    )  # fmt: skip
    lr_weight_step: float = knob(
        1e-4,
        label="Learning rate of the weights' step sizes",
        help="Adam, cosine to 0",
        low=0, high=1, quick=5e-3, standard=5e-3,
    )  # fmt: skip
    lr_activation_step: float = knob(
        4e-5,
        label="Learning rate of the activations' step sizes",
        help="Adam, cosine to 0",
        low=0, high=1, quick=2e-3, standard=2e-3,
    )  # fmt: skip
    step_rates: str = knob(
        "absolute",
        label="Step sizes move",
        help="by absolute amounts, as released, or in proportion to their size, which suits every bit width",
        choices=("absolute", "relative"), quick="relative", standard="relative",
    )  # fmt: skip
    rounding_weight: float = knob(
        1.0,
        label="Weight of the rounding regulariser",
        help="how hard each weight is pushed to decide for up or down",
        low=0, high=100, quick=0.1, standard=0.1,
    )  # fmt: skip
    warm_up: float = knob(
        0.2,
        label="Warm-up",
        help="share of the steps before the regulariser sets in",
        low=0,
        high=1,
    )
    sharpness_first: float = knob(
        20.0, label="Exponent at first", help="β of the regulariser", low=1, high=100
    )
    sharpness_last: float = knob(
        2.0, label="Exponent in the end", help="β of the regulariser", low=1, high=100
    )
    keep_float: float = knob(
        0.5,
        label="Dropping (QDrop)",
        help="probability that an activation stays float in a step",
        low=0, high=1,
    )  # fmt: skip
    mix_input: float = knob(
        0.5,
        label="Student's share of the block's input",
        help="probability that an element of the input comes from the student rather than the teacher",
        low=0, high=1,
    )  # fmt: skip


class GenieM(QuantizationMethod):
    """AdaRound with a released step size, LSQ activations, QDrop, over blocks."""

    card = MethodCard(
        name="genie-m",
        title="GENIE-M",
        summary="Block by block, rounding and step sizes are learned until the outputs meet the teacher's.",
        paper="Jeon et al., GENIE: Show Me the Data for Quantization, CVPR 2023",
        url="https://arxiv.org/abs/2212.04780",
    )
    Settings = GenieMSettings

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
        chosen: GenieMSettings = self.settings
        if not chosen.steps:
            return None
        settings = ReconstructionSettings(
            steps=chosen.steps,
            batch=chosen.batch,
            lr_rounding=chosen.lr_rounding,
            lr_weight_step=chosen.lr_weight_step,
            lr_activation_step=chosen.lr_activation_step,
            relative_steps=chosen.step_rates == "relative",
            rounding_weight=chosen.rounding_weight,
            warm_up=chosen.warm_up,
            sharpness=(chosen.sharpness_first, chosen.sharpness_last),
            keep_float=chosen.keep_float,
            mix_input=chosen.mix_input,
        )
        return BlockReconstruction(
            student, block, x_teacher=x_teacher, x_student=x_student, y_teacher=y_teacher,
            settings=settings, rng=rng,
        )  # fmt: skip

    def finish(self, student: nn.Module, block: BlockLike) -> None:
        settle(student, block)
