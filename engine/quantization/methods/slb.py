"""SLB: every weight searches its level among the nearest, softly at first and one of them in the end.

Yang, Wang, Han, Xu, Xu, Tao, Xu: "Searching for Low-Bit Weights in Quantized Neural Networks", NeurIPS
2020, arXiv:2009.08695.

Departures: there the network is trained from scratch on labelled data, with a logit for each of all
levels, and BatchNorm measured anew in every epoch; here a trained network's blocks are reconstructed from
generated images, with logits for the nearest levels, which begin at the distances, and BatchNorm is
corrected at the end. With two candidates it is AdaRound without its regulariser.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import nn

from engine.core.method import Losses, Machine, MethodCard, View, knob, knob_of
from engine.core.sampling.samples import sampled
from engine.quantization.base import QuantizerSettings
from engine.quantization.grids.quantizers import Makers
from engine.quantization.grids.weights.soft_codes import SearchedWeightQuantizer
from engine.quantization.plan import BlockLike
from engine.quantization.reconstruction.block_reconstruction import BlockReconstruction
from engine.quantization.reconstruction.objectives import Objective
from engine.quantization.reconstruction.reconstruction_method import Blockwise
from engine.quantization.reconstruction.settings import ReconstructionSettings
from engine.quantization.student import quantizers

BINS = 20
SURE = 0.99  # so probable, a level is decided for
_MOST_VALUES = 2**17


@dataclass(frozen=True, slots=True, kw_only=True)
class SlbSettings(QuantizerSettings):
    """SLB's settings; the temperature's course is the paper's in proportion."""

    steps: int = knob(
        8000,
        label="Steps per block",
        help="reconstruction steps for each block",
        low=0, high=1_000_000, quick=120, standard=800,
    )  # fmt: skip
    batch: int = knob(32, label="Mini-batch", help="images a step", low=1, high=1024)
    candidates: int = knob(
        4,
        label="Levels to search among",
        help="the nearest so many; 2 are up and down, as in AdaRound",
        low=2, high=16,
    )  # fmt: skip
    lr: float = knob(
        1e-2,
        label="Learning rate of the logits",
        help="Adam",
        low=0, high=10, quick=5e-2, standard=2e-2,
    )  # fmt: skip
    hottest: float = knob(
        100.0,
        label="Sharpness in the end",
        help="the temperature rises from 1 to this, by the same factor every step, between the two shares of "
        "the steps below; 1: it stays soft to the end",
        low=1, high=10_000, off=1.0,
    )  # fmt: skip
    rise_from: float = knob(0.2, label="It rises from", help="share of the steps", low=0, high=1)
    rise_to: float = knob(0.9, label="It rises to", help="share of the steps", low=0, high=1)
    mix_input: float = knob(
        1.0,
        label="Student's share of the block's input",
        help="probability that an element of the input comes from the student rather than the teacher",
        low=0, high=1, off=0.0,
    )  # fmt: skip
    # The release measures BatchNorm anew with the decided weights ("state batch normalisation").
    batchnorm: str = knob_of(QuantizerSettings, "batchnorm", default="delta")


class Slb(Blockwise):
    """Block reconstruction in which a softmax over the nearest levels sharpens step by step."""

    card = MethodCard(
        name="slb",
        title="SLB",
        summary="Each weight begins as a mixture of its nearest levels and decides for one, step by step.",
        paper="Yang et al., Searching for Low-Bit Weights in Quantized Neural Networks, NeurIPS 2020",
        url="https://arxiv.org/abs/2009.08695",
        shows=("confidence",),
    )
    Settings = SlbSettings

    def makers(self) -> Makers:
        chosen: SlbSettings = self.settings
        made = partial(
            SearchedWeightQuantizer, candidates=chosen.candidates, rule=chosen.weight_range,
            percentile=chosen.percentile,
        )  # fmt: skip
        return replace(super().makers(), weights=made)

    def core(self) -> ReconstructionSettings:
        chosen: SlbSettings = self.settings
        return ReconstructionSettings(
            steps=chosen.steps, batch=chosen.batch, lr_rounding=chosen.lr, lr_weight_step=0.0,
            lr_activation_step=0.0, relative_steps=False, rounding_weight=0.0, warm_up=1.0,
            sharpness=(1.0, 1.0), keep_float=0.0, mix_input=chosen.mix_input,
        )  # fmt: skip

    def objective(self, *given: Any) -> Objective:
        return Objective()

    def machine(self, student: nn.Module, block: BlockLike, **given: Any) -> Machine:
        return _Search(student, block, course=self.settings, **given)


class _Search(BlockReconstruction):
    """Block reconstruction with a temperature that belongs to the step."""

    def __init__(
        self, student: nn.Module, block: BlockLike, *, course: SlbSettings, **given: Any
    ) -> None:
        super().__init__(student, block, **given)
        self._course = course
        self._searched = [
            q for _, q in quantizers(student, block) if isinstance(q, SearchedWeightQuantizer)
        ]

    def step(self) -> Losses:
        for quantizer in self._searched:
            quantizer.temperature = temperature(self._course, self._steps_done)
        return super().step()

    def views(self) -> Sequence[View]:
        """How sure the weights of the block are of their most probable level."""
        found = [sampled(q.soft_rounding(), _MOST_VALUES) for q in self._searched]
        sure = torch.cat(found).float().detach()
        layers = self._block.layers
        return [
            View(
                form="confidence",
                what=layers[0] if len(layers) == 1 else self._block.name,
                arrays={
                    "centres": (torch.arange(BINS) + 0.5) / BINS,
                    "shares": torch.histc(sure, BINS, 0, 1) / len(sure),
                },
                values={
                    "decided": float((sure >= SURE).float().mean()),
                    "temperature": self._searched[0].temperature,
                },
            )
        ]


def temperature(course: SlbSettings, step: int) -> float:
    """1 before the rise, `hottest` behind it, and between them on a straight line of its logarithm."""
    start, end = course.rise_from * course.steps, course.rise_to * course.steps
    progress = min(1.0, max(0.0, (step - start) / max(end - start, 1.0)))
    return float(course.hottest**progress)
