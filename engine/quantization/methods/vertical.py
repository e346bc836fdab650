"""Vertical layers: one stored code for each weight; every precision is a prefix of its bits.

Inspired by Wu, Li, Hu, Zhao, Qin: "Vertical Layering of Quantized Neural Networks for Heterogeneous
Inference", IEEE TPAMI 2023, arXiv:2212.05326: only its abstract could be had. There one training on data
serves all precisions. Here nothing is trained, and all precisions share the clip of each channel. Where
steps are asked for, the weights learn from generated images: every step serves the fewest bits, the most,
and one precision between them that is drawn anew (the "sandwich" of slimmable networks).

Departures: the clips stay as they were fitted, and BatchNorm is corrected for the bits of the recipe alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from engine.core.errors import UserError
from engine.core.method import Losses, MethodCard, View, knob, knob_of
from engine.quantization.base import QuantizerSettings
from engine.quantization.distillation.learner import Learner
from engine.quantization.distillation.method import Distilled, DistilledSettings
from engine.quantization.distillation.trainer import divergence
from engine.quantization.grids.quantizers import Makers
from engine.quantization.grids.weights.nested import STORED_BITS, NestedWeightCodes, middles, prefix
from engine.quantization.plan import BlockLike
from engine.quantization.rounding.views import levels_view


@dataclass(frozen=True, slots=True, kw_only=True)
class VerticalSettings(DistilledSettings):
    """Vertical layers' settings. The rule for weights' ranges does not count."""

    steps: int = knob_of(
        DistilledSettings,
        "steps",
        default=2000,
        quick=0,
        standard=0,
        help="of the whole network, in each of which it learns at three precisions; 0: nothing is trained",
    )
    lr: float = knob_of(DistilledSettings, "lr", default=1e-4)
    lowest: int = knob(
        2,
        label="Fewest bits to serve",
        help="the clip is shared by all precisions from here to the most; one that serves few bits well "
        "costs many bits a little",
        low=1, high=8,
    )  # fmt: skip
    highest: int = knob(8, label="Most bits to serve", help="see the fewest", low=1, high=8)
    # The paper's training lets BatchNorm follow every precision.
    batchnorm: str = knob_of(QuantizerSettings, "batchnorm", quick="delta", standard="delta")


class Vertical(Distilled):
    """The bits of the recipe are those that are read; the others are stored behind them."""

    card = MethodCard(
        name="vertical",
        title="Vertical layers",
        summary="One code of 8 bits a weight: its first bits alone are the network at fewer bits.",
        paper="Inspired by Wu et al., Vertical Layering of Quantized Neural Networks, TPAMI 2023 (abstract)",
        url="https://arxiv.org/abs/2212.05326",
        shows=("levels",),
        fewest_weight_bits=1,
    )
    Settings = VerticalSettings

    def __init__(self, settings: Any) -> None:
        if settings.lowest > settings.highest:
            raise UserError(
                f"quantization.lowest is {settings.lowest}; it must not be above quantization.highest, which "
                f"is {settings.highest}"
            )
        super().__init__(settings)

    def makers(self) -> Makers:
        chosen: VerticalSettings = self.settings
        precisions = range(chosen.lowest, chosen.highest + 1)
        return replace(super().makers(), weights=partial(NestedWeightCodes, precisions=precisions))

    def idle_ranges(self) -> dict[str, str]:
        return {"weight": "all precisions share a clip"}

    def learner(self, student: nn.Module, blocks: Sequence[BlockLike]) -> Learner:
        return SandwichLearner(student, blocks, self.settings)

    def views(self, student: nn.Module, block: BlockLike) -> Sequence[View]:
        """One channel's weights and its levels as planes are added, from one to all."""
        return [
            view for path in block.layers for view in _planes(path, student.get_submodule(path))
        ]


class SandwichLearner(Learner):
    """The float weights, rounded to the fewest bits, the most, and a precision between them in each step."""

    def __init__(
        self, student: nn.Module, blocks: Sequence[BlockLike], chosen: VerticalSettings
    ) -> None:
        super().__init__(student, blocks)
        self._lr, self._temperature = chosen.lr, chosen.temperature
        self._precisions = range(chosen.lowest, chosen.highest + 1)
        self._own = {path: layer.weight_quantizer.bits for path, layer in self.layers.items()}
        fewest = min(self._own.values())
        # The first layer and the last, where they keep all bits while the others have fewer.
        self._spared = {path for path, bits in self._own.items() if bits == STORED_BITS > fewest}
        self._others: list[int] = []
        for layer in self.layers.values():
            layer.weight_quantizer.learning = True
            layer.float_weight.requires_grad_()

    def groups(self) -> list[dict[str, Any]]:
        return [{"params": [one.float_weight for one in self.layers.values()], "lr": self._lr}]

    def begin(self, progress: float, rng: torch.Generator) -> None:
        """The student stands at the fewest bits; the others of this step are drawn."""
        lowest, highest = self._precisions[0], self._precisions[-1]
        between = self._precisions[1:-1]
        self._others = [highest] if highest > lowest else []
        if between:
            self._others.append(between[int(torch.randint(len(between), (), generator=rng))])
        self._read(lowest)

    def penalties(self, x: Tensor, wanted: Tensor, progress: float) -> Losses:
        """The divergence from the teacher's answers at the other precisions of the step."""
        losses = {}
        for turn, bits in enumerate(self._others):
            self._read(bits)
            name = "most bits" if turn == 0 else "bits between"
            losses[name] = divergence(self.student(x), wanted, self._temperature)
        return losses

    def _read(self, bits: int) -> None:
        for path, layer in self.layers.items():
            layer.weight_quantizer.bits = STORED_BITS if path in self._spared else bits

    @torch.no_grad()
    def settle(self) -> None:
        for path, layer in self.layers.items():
            quantizer = layer.weight_quantizer
            layer.float_weight.requires_grad_(False)
            quantizer.learning, quantizer.bits = False, self._own[path]
            quantizer.encode(layer.float_weight, quantizer.clip)


def _planes(path: str, layer: Any) -> list[View]:
    quantizer: NestedWeightCodes = layer.weight_quantizer
    values = layer.float_weight.detach().flatten(1)[0].cpu()
    clip, codes = quantizer.clip[0, 0].cpu(), quantizer.nested.flatten(1)[0].cpu()
    views = []
    for bits in range(1, STORED_BITS + 1):
        factor = quantizer.factors[0, bits - 1].cpu()
        levels = middles(bits) * factor * clip
        view = levels_view(path, bits, values, levels, (factor * clip)[None])
        found = levels[prefix(codes, bits).long()]
        told = {"planes": float(bits), "mse": float((values - found).square().mean())}
        views.append(replace(view, values=view.values | told))
    return views
