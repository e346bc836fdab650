"""SLB: each weight decides among levels by a softmax whose temperature ends all doubt.

Yang, Wang, Han, Xu, Xu, Tao, Xu: "Searching for Low-Bit Weights in Quantized Neural Networks",
NeurIPS 2020, arXiv:2009.08695. The paper trains from scratch on data for hundreds of epochs, and takes
BatchNorm's statistics anew; here a trained network's weights decide anew, on images made from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from engine.core.method import MethodCard, View, knob, knob_of
from engine.quantization.base import QuantizerSettings
from engine.quantization.distillation.method import BaseLearner, Distilled, DistilledSettings
from engine.quantization.grids.quantizers import Makers
from engine.quantization.plan import BlockLike
from engine.quantization.rounding.soft_choice import SoftChoice

_BINS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SlbSettings(DistilledSettings):
    """How the weights decide; the temperature's course is that of the released ports."""

    candidates: int = knob(
        4,
        label="Levels that a weight chooses among",
        help="the nearest ones; the paper takes all, which needs as many numbers a weight",
        low=2, high=16,
    )  # fmt: skip
    lr: float = knob_of(
        DistilledSettings, "lr", default=1e-2, help="Adam, for the logits, along a cosine to 0"
    )
    sharpest: float = knob(
        1000.0,
        label="Temperature factor in the end",
        help="what the logits are multiplied by when the weights have decided; it grows evenly in its "
        "logarithm, from 1",
        low=1, high=1_000_000,
    )  # fmt: skip
    sharpen_from: float = knob(
        0.2, label="Sharpen from", help="share of the steps before it grows", low=0, high=1
    )
    sharpen_until: float = knob(
        0.8,
        label="Sharpen until",
        help="share of the steps behind which every weight is one level, as it will be",
        low=0, high=1,
    )  # fmt: skip
    batchnorm: str = knob_of(QuantizerSettings, "batchnorm", quick="delta", standard="delta")


class Slb(Distilled):
    """Levels and their grid stay as fitted; what is searched is which level each weight takes."""

    card = MethodCard(
        name="slb",
        title="SLB",
        summary="Each weight is a mixture of its nearest levels, and the mixture sharpens until it is one.",
        paper="Yang et al., Searching for Low-Bit Weights in Quantized Neural Networks, NeurIPS 2020 "
        "(a trained network's weights, instead of training from scratch on data)",
        url="https://arxiv.org/abs/2009.08695",
    )
    Settings = SlbSettings

    def makers(self) -> Makers:
        chosen: SlbSettings = self.settings
        weights = partial(
            SoftChoice, candidates=chosen.candidates, rule=chosen.weight_range,
            percentile=chosen.percentile,
        )  # fmt: skip
        return Makers(weights=weights, activations=super().makers().activations)

    def learner(self, student: nn.Module, blocks: Sequence[BlockLike]) -> "SlbLearner":
        return SlbLearner(student, blocks, self.settings)


class SlbLearner(BaseLearner):
    """The logits of all weights, and the temperature that they decide by."""

    def __init__(
        self, student: nn.Module, blocks: Sequence[BlockLike], chosen: SlbSettings
    ) -> None:
        super().__init__(student, blocks)
        self._chosen = chosen
        self._choices: list[SoftChoice] = []
        for layer in self.layers.values():
            layer.weight_quantizer.open(layer.float_weight)
            self._choices.append(layer.weight_quantizer)

    def groups(self) -> list[dict[str, Any]]:
        return [{"params": [choice.logits for choice in self._choices], "lr": self._chosen.lr}]

    def begin(self, progress: float, rng: torch.Generator) -> None:
        first, last = self._chosen.sharpen_from, self._chosen.sharpen_until
        share = min(max((progress - first) / max(last - first, 1e-9), 0.0), 1.0)
        for choice in self._choices:
            choice.temperature = self._chosen.sharpest**share
            choice.one_hot = progress >= last

    def settle(self) -> None:
        for choice in self._choices:
            choice.harden()

    def views(self) -> Sequence[View]:
        """How sure the weights are of their levels: the share of them in each bin of confidence."""
        sure = torch.cat([choice.confidence().flatten() for choice in self._choices]).float()
        least = 1 / self._choices[0].candidates
        centres = least + (torch.arange(_BINS) + 0.5) * (1 - least) / _BINS
        shares = torch.histc(sure, _BINS, least, 1.0) / len(sure)
        values = {"sure": float((sure > 0.99).float().mean()),
                  "temperature": self._choices[0].temperature}  # fmt: skip
        arrays = {"centres": centres, "shares": shares.cpu()}
        return [View(form="confidence", what="all weights", arrays=arrays, values=values)]
