"""What a quantization method is: a way to choose the codes of one block after another."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from engine.core.method import Machine, MethodCard, Settings, View, knob
from engine.quantization.grids.quantizers import ActivationQuantizer, Makers, WeightQuantizer
from engine.quantization.grids.range_rules import ACTIVATION_RULES, RULES
from engine.quantization.plan import BlockLike, LayerBits


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizerSettings(Settings):
    """What every quantizer can be combined with: how ranges are chosen, and what is corrected after."""

    step_takes: ClassVar[str] = "batch"  # see Stretch

    weight_range: str = knob(
        "mse",
        label="Range of the weights",
        help="mse: the clip ratio with the smallest error, per channel; min-max: nothing is clipped; "
        "percentile: the rarest are clipped; kl: the histogram stays most alike, one ratio a layer",
        choices=RULES,
    )
    activation_range: str = knob(
        "mse",
        label="Range of the activations",
        help="the same rules, for each tensor as a whole; peak: the mean over images of each one's largest "
        "(made for AAC's images); peak-percentile: of each one's percentile; kl-full-range: kl that counts "
        "what is clipped",
        choices=ACTIVATION_RULES,
    )
    activation_zero: str = knob(
        "none",
        label="Zero point of the activations",
        help="searched: the levels lie between the lowest and the highest value, which behind SiLU, "
        "hard-swish or GELU is worth up to a bit; none: over as much on both sides of 0. Inputs without "
        "values below 0 are the same by both",
        choices=("none", "searched"),
    )
    percentile: float = knob(
        99.9,
        label="Percentile",
        help="per cent of the values that the percentile rules keep within the range",
        low=50, high=100,
    )  # fmt: skip
    equalise: bool = knob(
        False,
        label="Equalise across layers",
        help="scale channels so that the weights of neighbouring layers spread alike; the float "
        "network computes the same (cross-layer equalisation)",
    )
    bias_correction: bool = knob(
        False,
        label="Correct the bias",
        help="give each output channel back the mean that it has in the teacher; its mean alone: at 2 bits "
        "the spread shrinks too, and correcting BatchNorm (delta) is the better choice",
    )
    batchnorm: str = knob(
        "none",
        label="Correct BatchNorm",
        help="delta: move the statistics by what quantization shifted; replace: take those of the "
        "images (harmful where images are not like data); momentum: a running mean of the two",
        choices=("none", "replace", "momentum", "delta"),
        off="none",
    )


def activation_maker(
    chosen: QuantizerSettings, kind: type[ActivationQuantizer] = ActivationQuantizer
) -> Callable[[int], ActivationQuantizer]:
    """How an activation's quantizer of this kind is made from its bits, by the settings that all share."""
    return partial(
        kind, rule=chosen.activation_range, percentile=chosen.percentile,
        zero_point=chosen.activation_zero == "searched",
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Some of a block's steps, one after another: from them a run's length is told before it is started."""

    steps: int
    knob: str = "steps"  # the setting that asks for them
    takes: str = (
        "batch"  # a step is of a mini-batch, of all "images", or a "share" of what is to do anyway
    )


class RestLike(Protocol):
    """The teacher behind a block (engine.models.graph.rest_of_network.Rest is one)."""

    teacher: nn.Module
    classifier: bool  # its outputs are scores of classes, not an embedding

    def __call__(self, y: Tensor, index: Tensor) -> Tensor:
        """The network's outputs from outputs y of the block, for the images of that index; gradients pass."""
        ...


class Planner(Machine, Protocol):
    """Chooses bits; once its steps are taken, `solve` gives the plan and a report for the result."""

    def solve(self) -> tuple[dict[str, LayerBits], dict[str, Any]]: ...
    def decide(self) -> Any: ...  # the part of `solve` that looks at no image
    def stand_in(self) -> None: ...  # for what is not measured yet, so that both can be timed


class Distiller(Machine, Protocol):
    """Trains the whole student; once its steps are taken, `learned` gives what became of every block.

    The names are those of `stored_block`, for all blocks together.
    """

    def learned(self) -> dict[str, Tensor]: ...


class QuantizationMethod(ABC):
    """Takes blocks in order of execution; earlier blocks of the student are already quantized.

    When `reconstruct` is called, the block's weights are at nearest codes on searched grids and its
    activations are fitted. It returns a step machine that improves them, or None if there is nothing
    to do. Once the machine's steps are taken, `finish` leaves the block with whole codes.
    """

    card: ClassVar[MethodCard]
    Settings: ClassVar[type[QuantizerSettings]]
    exportable: bool = True  # integer kernels can compute what the student does
    rounded_to: tuple[int, ...] = ()  # widths that its weight quantizers' `trained` is tried at
    looks_ahead: bool = False  # `reconstruct` takes `rest`, the teacher behind the block

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    def makers(self) -> Makers:
        """How the student's quantizers are made; here uniform grids, with ranges by the chosen rules."""
        chosen: QuantizerSettings = self.settings
        return Makers(
            weights=partial(
                WeightQuantizer, rule=chosen.weight_range, percentile=chosen.percentile
            ),
            activations=activation_maker(chosen),
        )

    def idle_ranges(self) -> dict[str, str]:
        """Why a rule for a range ("weight", "activation") has nothing to decide here; none: each decides."""
        return {}

    def notes(self) -> list[str]:
        """What a user should know of these settings before anything is quantized."""
        rules = {what: getattr(self.settings, f"{what}_range") for what in self.idle_ranges()}
        return [
            f"The rule {rules[what]!r} for the {what}s' range has nothing to decide: {why}."
            for what, why in self.idle_ranges().items()
            if rules[what] != "mse"  # the usual one, which nobody has asked for
        ]

    def remarks(self, teacher: nn.Module) -> list[str]:
        """What a user should know of these settings on this network; mostly nothing."""
        return []

    def steps_of_the_whole(self) -> int:
        """How many steps the distiller of the whole student will take; 0 where there is none."""
        return 0

    def steps_per_block(self) -> int:
        """How many steps each block's machine will take; 0 where there is none."""
        return 0

    def steps_of(self, block: BlockLike) -> int:
        """How many steps this block's machine will take."""
        return self.steps_per_block()

    def stretches_of(self, block: BlockLike) -> tuple[Stretch, ...]:
        """The block's steps in order; together as many as `steps_of`. For methods that take several kinds."""
        return (Stretch(steps=self.steps_of(block), takes=self.settings.step_takes),)

    def at_most(self, steps: int) -> "QuantizationMethod":
        """The same method in at most so many steps by each knob of steps, to see how long one takes.

        Such a knob is called `steps`, or its name ends in `_steps`.
        """
        names = [one.name for one in fields(self.settings)]
        wanted = [name for name in names if name == "steps" or name.endswith("_steps")]
        few = {name: min(steps, getattr(self.settings, name)) for name in wanted}
        return type(self)(replace(self.settings, **few))

    def calibration(self, images: Tensor) -> Tensor:
        """The images that the blocks are calibrated with, from those that were made."""
        return images

    def planner(
        self,
        teacher: nn.Module,
        blocks: Sequence[BlockLike],
        plan: dict[str, LayerBits],
        images: Tensor,
        rng: torch.Generator,
    ) -> "Planner | None":
        """A step machine that chooses each layer's bits before anything is quantized; mostly None."""
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
    ) -> "Distiller | None":
        """A step machine that trains the whole student before its blocks are settled; mostly None.

        `fit` places every activation of a student by the images. Where there is a distiller, blocks are
        taken from what it has learned, and `reconstruct` is not asked.
        """
        return None

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

    def views(self, student: nn.Module, block: BlockLike) -> Sequence[View]:
        """What there is to see of a finished block that no machine has shown; mostly nothing."""
        return ()

    def finish(self, student: nn.Module, block: BlockLike) -> None:
        """Settle the block: soft rounding becomes codes, dropping ends."""
