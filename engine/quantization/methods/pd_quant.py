"""PD-Quant: QDrop that also asks what the network's answer becomes, on inputs corrected to be more typical.

Liu, Niu, Yuan, Yang, Wang, Liu: "PD-Quant: Post-Training Quantization Based on Prediction Difference
Metric", CVPR 2023, arXiv:2212.07048. Where a network has no classes, the difference is that of its
embeddings (Boutros et al., QuantFace): the paper's own is one of logits.

Other departures: the answer that is compared comes from a pass in which no activation is dropped (the
release drops in it as in the other); the correction's variances are biased, with 1e-8 under the root (the
release: unbiased, 1e-6); activations are fitted on 32 images; mini-batches are
drawn without repetition; a step of the correction moves all images at once.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.core.method import Machine, MethodCard, knob, knob_of
from engine.quantization.base import QuantizerSettings, RestLike, Stretch
from engine.quantization.plan import BlockLike
from engine.quantization.reconstruction.block_reconstruction import BlockReconstruction
from engine.quantization.reconstruction.distribution_correction import DistributionCorrection
from engine.quantization.reconstruction.phases import Phase, Phases
from engine.quantization.reconstruction.reconstruction_method import (
    Blockwise,
    JointSettings,
    RoundingSettings,
    known,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PDQuantSettings(JointSettings):
    """PD-Quant's settings; the defaults are the released ones for ResNets."""

    activation_zero: str = knob_of(QuantizerSettings, "activation_zero", default="searched")
    lr_rounding: float = knob_of(RoundingSettings, "lr_rounding", default=3e-3)
    prediction_weight: float = knob(
        10.0,
        label="Weight of the prediction difference",
        help="how much the network's answer counts beside the block's output; every step goes through the "
        "rest of the network too, which takes two to four times as long as QDrop",
        low=0, high=1000,
    )  # fmt: skip
    correction_steps: int = knob(
        500,
        label="Steps of the distribution correction",
        help="before each block, its inputs are moved so many times towards the BatchNorm statistics; each "
        "moves all images, so it costs several steps of the reconstruction",
        low=0, high=100_000, quick=10, standard=50, off=0,
    )  # fmt: skip
    correction_rate: float = knob(
        1e-3,
        label="Learning rate of the correction",
        help="Adam, for the block's inputs; with few steps it must be larger, or nothing moves",
        low=1e-6, high=1, quick=2e-2, standard=5e-3,
    )  # fmt: skip
    correction_leash: float = knob(
        0.02,
        label="Leash of the correction",
        help="how far inputs may move: 0.02 for ResNets, 0.01 RegNets, 0.005 MobileNetV2, 0.001 MNASNet",
        low=1e-6, high=1000,
    )  # fmt: skip


class PDQuant(Blockwise):
    """Two phases a block: the distribution correction of its inputs, then the reconstruction on them."""

    card = MethodCard(
        name="pd-quant",
        title="PD-Quant",
        summary="A rounding is judged by what the whole network then answers, not by its block alone.",
        paper="Liu et al., PD-Quant: Prediction Difference Metric, CVPR 2023",
        url="https://arxiv.org/abs/2212.07048",
        shows=("soft-rounding",),
    )
    Settings = PDQuantSettings

    def steps_per_block(self) -> int:
        chosen: PDQuantSettings = self.settings
        return chosen.correction_steps + chosen.steps if chosen.steps else 0

    def stretches_of(self, block: BlockLike) -> tuple[Stretch, ...]:
        chosen: PDQuantSettings = self.settings
        if not chosen.steps:
            return ()
        return (
            Stretch(steps=chosen.correction_steps, knob="correction_steps", takes="images"),
            Stretch(steps=chosen.steps),
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
        chosen: PDQuantSettings = self.settings
        if not chosen.steps:
            return None
        teacher = known(rest).teacher
        x, y = x_teacher, y_teacher
        correction: DistributionCorrection

        def correct() -> Machine:
            nonlocal correction
            correction = DistributionCorrection(
                teacher, block, x_teacher,
                steps=chosen.correction_steps, rate=chosen.correction_rate,
                leash=chosen.correction_leash,
            )  # fmt: skip
            return correction

        @torch.no_grad()
        def take_over() -> None:
            nonlocal x, y
            x = correction.inputs
            y = torch.cat([block.run(teacher, part) for part in x.split(chosen.batch)])

        def learn() -> Machine:
            return BlockReconstruction(
                student, block, x_teacher=x, x_student=x_student, y_teacher=y,
                settings=self.core(), rng=rng,
                # the network's answer is the one to the images, not to corrected features
                objective=self.objective(student, block, x_student, y_teacher, rest),
            )  # fmt: skip

        return Phases(
            [
                Phase(steps=chosen.correction_steps, begin=correct, end=take_over),
                Phase(steps=chosen.steps, begin=learn),
            ]
        )
