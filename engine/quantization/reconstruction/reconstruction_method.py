"""What the methods built on block reconstruction share: their knobs, and the way from knobs to a machine.

AdaRound, BRECQ, QDrop, PD-Quant, AQuant and GENIE-M differ in what moves (roundings, step sizes, borders),
in what is dropped and in what is minimised; each method's file declares what is its own.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from engine.core.method import Machine, knob
from engine.quantization.base import QuantizationMethod, QuantizerSettings, RestLike
from engine.quantization.plan import BlockLike
from engine.quantization.reconstruction.block_reconstruction import BlockReconstruction, settle
from engine.quantization.reconstruction.objectives import (
    Distance,
    EmbeddingDistance,
    Objective,
    Prediction,
    PredictionDifference,
    fisher_distance,
    fisher_gradient,
    squared_distance,
)
from engine.quantization.reconstruction.settings import ReconstructionSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundingSettings(QuantizerSettings):
    """How roundings are learned (Nagel et al., AdaRound); the defaults are those of BRECQ's release."""

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
    rounding_weight: float = knob(
        0.01,
        label="Weight of the rounding regulariser",
        help="how hard each weight is pushed to decide for up or down; with few steps it must be harder",
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


@dataclass(frozen=True, slots=True, kw_only=True)
class JointSettings(RoundingSettings):
    """How roundings and activation step sizes are learned together (Wei et al., QDrop), and what may help."""

    lr_activation_step: float = knob(
        4e-5,
        label="Learning rate of the activations' step sizes",
        help="Adam, cosine to 0",
        low=0, high=1, quick=2e-3, standard=2e-3, off=0.0,
    )  # fmt: skip
    step_rates: str = knob(
        "absolute",
        label="Step sizes move",
        help="by absolute amounts, as released, or in proportion to their size, which suits every bit width",
        choices=("absolute", "relative"), quick="relative", standard="relative",
    )  # fmt: skip
    keep_float: float = knob(
        0.5,
        label="Dropping (QDrop)",
        help="probability that an activation stays float in a step",
        low=0, high=1, off=0.0,
    )  # fmt: skip
    mix_input: float = knob(
        0.5,
        label="Student's share of the block's input",
        help="probability that an element of the input comes from the student rather than the teacher",
        low=0, high=1, off=0.0,
    )  # fmt: skip
    distance: str = knob(
        "squared",
        label="Distance of the outputs",
        help="squared: every error counts alike; fisher: errors count by what they cost the network's answer "
        "(one pass of all images through the rest of the network for each block)",
        choices=("squared", "fisher"),
        off="squared",
    )
    prediction_weight: float = knob(
        0.0,
        label="Weight of the prediction difference",
        help="how much the network's answer counts beside the block's output (PD-Quant); above 0 every step "
        "goes through the rest of the network too, which takes two to four times as long",
        low=0, high=1000,
    )  # fmt: skip
    prediction: str = knob(
        "auto",
        label="Answers are compared by",
        help="kl: the probabilities of the classes (PD-Quant); embedding: the direction of the output "
        "(QuantFace); auto: kl for a classifier, embedding for a network without classes",
        choices=("auto", "kl", "embedding"),
    )
    temperature: float = knob(
        4.0,
        label="Temperature of the prediction",
        help="softens the answers that kl compares: 4 for ResNets, 1 for mobile networks",
        low=0.1, high=100,
    )  # fmt: skip
    rounding_rate: str = knob(
        "constant",
        label="Course of the rounding's learning rate",
        help="constant, as released, or along a cosine to 0",
        choices=("constant", "cosine"),
    )
    mirror: bool = knob(
        False,
        label="Mirrored images too",
        help="calibrate with each image and its mirror image too, in as many steps; measured to help natural "
        "images at 2 bits, and not where things point one way (the shoes of Fashion-MNIST, writing)",
    )


class Blockwise(QuantizationMethod):
    """Soft roundings over a block, brought to the teacher's output step by step, then settled."""

    looks_ahead = True

    def steps_per_block(self) -> int:
        return int(self.settings.steps)

    def calibration(self, images: Tensor) -> Tensor:
        if not getattr(self.settings, "mirror", False):
            return images
        return torch.cat([images, images.flip(-1)])

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
        if not self.settings.steps:
            return None
        return self.machine(
            student, block, x_teacher=x_teacher, x_student=x_student, y_teacher=y_teacher,
            settings=self.core(), rng=rng,
            objective=self.objective(student, block, x_student, y_teacher, rest),
        )  # fmt: skip

    def machine(self, student: nn.Module, block: BlockLike, **given: Any) -> Machine:
        """What takes the steps, from what `BlockReconstruction` takes."""
        return BlockReconstruction(student, block, **given)

    def core(self) -> ReconstructionSettings:
        """What the settings ask of the core."""
        return core_settings(self.settings)

    def objective(
        self,
        student: nn.Module,
        block: BlockLike,
        x_student: Tensor,
        y_teacher: Tensor,
        rest: RestLike | None,
    ) -> Objective:
        """What the settings ask to be minimised."""
        chosen = self.settings
        distance: Distance = squared_distance
        if chosen.distance == "fisher":
            distance = fisher_of(student, block, x_student, y_teacher, rest)
        prediction = None
        if chosen.prediction_weight:
            prediction = prediction_of(chosen, y_teacher, known(rest))
        return Objective(distance=distance, prediction=prediction)

    def finish(self, student: nn.Module, block: BlockLike) -> None:
        settle(student, block)


def fisher_of(
    student: nn.Module,
    block: BlockLike,
    x_student: Tensor,
    y_teacher: Tensor,
    rest: RestLike | None,
) -> Distance:
    """The Fisher-weighted distance at this block, for the student as it stands."""
    return fisher_distance(fisher_gradient(student, block, x_student, y_teacher, known(rest)))


def prediction_of(chosen: JointSettings, y_teacher: Tensor, rest: RestLike) -> Prediction:
    """How the network's answers are compared; what is not chosen is what suits its outputs."""
    weight = chosen.prediction_weight
    by = (
        ("kl" if rest.classifier else "embedding")
        if chosen.prediction == "auto"
        else chosen.prediction
    )
    if by == "embedding":
        return EmbeddingDistance(rest, y_teacher, weight=weight)
    return PredictionDifference(rest, y_teacher, temperature=chosen.temperature, weight=weight)


def known(rest: RestLike | None) -> RestLike:
    """The teacher behind the block, which a method that looks ahead is always given."""
    if rest is None:
        raise TypeError("this method looks ahead: `reconstruct` needs `rest`")
    return rest


def core_settings(chosen: Any, **changes: Any) -> ReconstructionSettings:
    """The core's settings from a method's; what the method has no knob for stands still or is left out."""
    values: dict[str, Any] = {
        "steps": chosen.steps,
        "batch": chosen.batch,
        "lr_rounding": chosen.lr_rounding,
        "lr_weight_step": getattr(chosen, "lr_weight_step", 0.0),
        "lr_activation_step": getattr(chosen, "lr_activation_step", 0.0),
        "relative_steps": getattr(chosen, "step_rates", "absolute") == "relative",
        "rounding_weight": chosen.rounding_weight,
        "warm_up": chosen.warm_up,
        "sharpness": (chosen.sharpness_first, chosen.sharpness_last),
        "keep_float": getattr(chosen, "keep_float", 0.0),
        "mix_input": getattr(chosen, "mix_input", 1.0),
        "rounding_rate": getattr(chosen, "rounding_rate", "constant"),
    }
    return ReconstructionSettings(**values | changes)
