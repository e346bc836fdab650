"""BRECQ: blocks reconstructed by the Fisher-weighted error of their output; weights first, activations after.

Li, Gong, Tan, Yang, Hu, Zhang, Yu, Wang, Gu: "BRECQ: Pushing the Limit of Post-Training Quantization by
Block Reconstruction", ICLR 2021, arXiv:2102.05426.

Departures: both phases are gone through block by block (the release reconstructs all weights before any
activation); the second phase, too, reads what the quantized network hands the block (the release: the float
network's); activations are quantized at a layer's input and not at its output; BatchNorms are not folded,
which the grids of each channel make equivalent; the first layer, at 8 bits, is reconstructed too; activations
are fitted on 32 images (64); the clip ratio is the best of 100 (80); Fisher weights
are scaled to the mean 1, so that the regulariser's weight means the same in every block.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.core.method import Machine, MethodCard, knob, knob_of
from engine.quantization.base import QuantizerSettings, RestLike, Stretch
from engine.quantization.plan import BlockLike
from engine.quantization.reconstruction.block_reconstruction import BlockReconstruction, settle
from engine.quantization.reconstruction.objectives import (
    Distance,
    Objective,
    power_distance,
    squared_distance,
)
from engine.quantization.reconstruction.phases import Phase, Phases
from engine.quantization.reconstruction.reconstruction_method import (
    Blockwise,
    JointSettings,
    RoundingSettings,
    core_settings,
    fisher_of,
)
from engine.quantization.reconstruction.settings import ReconstructionSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class BrecqSettings(RoundingSettings):
    """BRECQ's settings; the defaults are the paper's and its release's."""

    activation_zero: str = knob_of(QuantizerSettings, "activation_zero", default="searched")
    distance: str = knob(
        "fisher",
        label="Distance of the outputs",
        help="fisher: errors count by what they cost the network's answer, as in the paper (one pass of all "
        "images through the rest of the network for each block); squared: every error alike, the release's "
        "own default, and better with few steps on synthetic images",
        choices=("fisher", "squared"), quick="squared", standard="squared",
    )  # fmt: skip
    activation_steps: int = knob(
        5000,
        label="Steps for the activations",
        help="steps of the second phase of each block, in which the codes are settled and the activations' "
        "step sizes learn",
        low=0, high=1_000_000, quick=30, standard=200,
    )  # fmt: skip
    lr_activation_step: float = knob_of(
        JointSettings, "lr_activation_step", default=4e-4, quick=1e-2, standard=4e-3
    )
    step_rates: str = knob_of(JointSettings, "step_rates")


class Brecq(Blockwise):
    """Two phases a block: roundings with float activations, then step sizes of activations (LSQ)."""

    card = MethodCard(
        name="brecq",
        title="BRECQ",
        summary="Whole blocks are reconstructed, weights first; errors may count by what they cost.",
        paper="Li et al., BRECQ: Pushing the Limit of PTQ by Block Reconstruction, ICLR 2021",
        url="https://arxiv.org/abs/2102.05426",
        needs=("classes",),
        shows=("soft-rounding",),
    )
    Settings = BrecqSettings

    def steps_per_block(self) -> int:
        chosen: BrecqSettings = self.settings
        return chosen.steps + chosen.activation_steps

    def stretches_of(self, block: BlockLike) -> tuple[Stretch, ...]:
        chosen: BrecqSettings = self.settings
        return (
            Stretch(steps=chosen.steps),
            Stretch(steps=chosen.activation_steps, knob="activation_steps"),
        )

    def reconstruct(
        self,
        student: nn.Module,
        block: BlockLike,
        *,
        x_teacher: Tensor,
        x_student: Tensor,
        y_teacher: Tensor,
        rng: torch.Generator,
        rest: RestLike | None = None,
    ) -> Machine | None:
        chosen: BrecqSettings = self.settings
        if not self.steps_per_block():
            return None
        weights = core_settings(chosen, keep_float=1.0, lr_activation_step=0.0)
        activations = core_settings(chosen, steps=chosen.activation_steps, learn_codes=False)

        def machine(settings: ReconstructionSettings, objective: Objective) -> Machine:
            return BlockReconstruction(
                student, block, x_teacher=x_teacher, x_student=x_student, y_teacher=y_teacher,
                settings=settings, rng=rng, objective=objective,
            )  # fmt: skip

        def learn_weights() -> Machine:
            distance: Distance = squared_distance
            if chosen.distance == "fisher":
                distance = fisher_of(student, block, x_student, y_teacher, rest)
            return machine(weights, Objective(distance=distance))

        return Phases(
            [
                Phase(steps=chosen.steps, begin=learn_weights, end=lambda: settle(student, block)),
                Phase(
                    steps=chosen.activation_steps,
                    begin=lambda: machine(activations, Objective(distance=power_distance(2.4))),
                ),
            ]
        )
