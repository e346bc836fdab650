"""LQ-Nets: levels learned from the values themselves, as sums of a few floats. No training.

Zhang, Yang, Ye, Hua: "LQ-Nets: Learned Quantization for Highly Accurate and Compact Deep Neural
Networks", ECCV 2018, arXiv:1807.10029.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torch import nn

from engine.core.method import MethodCard, View, knob, knob_of
from engine.quantization.base import QuantizationMethod, QuantizerSettings
from engine.quantization.grids.quantizers import Makers
from engine.quantization.grids.weights.learned_basis import (
    TURNS,
    BasisActivationQuantizer,
    BasisWeightQuantizer,
    basis_levels,
)
from engine.quantization.plan import BlockLike
from engine.quantization.rounding.views import levels_view


@dataclass(frozen=True, slots=True, kw_only=True)
class LqNetsSettings(QuantizerSettings):
    """LQ-Nets' settings. The rule for weights' ranges never counts, that for activations on an even grid."""

    turns: int = knob(
        TURNS,
        label="Turns",
        help="at most so often: nearest levels, then the best basis for them; 0 keeps even levels",
        low=0, high=10_000,
    )  # fmt: skip
    activations: str = knob(
        "learned",
        label="Levels of the activations",
        help="learned as those of the weights, one basis a tensor, or an even grid",
        choices=("learned", "even"),
        off="even",
    )
    # The paper's training lets BatchNorm follow the levels; without it, 2 bits break the network.
    batchnorm: str = knob_of(QuantizerSettings, "batchnorm", quick="delta", standard="delta")


class LqNets(QuantizationMethod):
    """The paper trains the network beside its levels; here the levels are fitted to what is there."""

    card = MethodCard(
        name="lq-nets",
        title="LQ-Nets",
        summary="Uneven levels: each is a sum of a few learned numbers, fitted to where the values lie.",
        paper="Zhang et al., LQ-Nets: Learned Quantization for Highly Accurate and Compact Deep Neural "
        "Networks, ECCV 2018 (its levels, without its training)",
        url="https://arxiv.org/abs/1807.10029",
        shows=("levels",),
    )
    Settings = LqNetsSettings
    exportable = False  # levels are sums of floats

    def makers(self) -> Makers:
        chosen: LqNetsSettings = self.settings
        uneven = Makers(
            weights=partial(BasisWeightQuantizer, turns=chosen.turns),
            activations=partial(BasisActivationQuantizer, turns=chosen.turns),
        )
        if chosen.activations == "learned":
            return uneven
        return replace(uneven, activations=super().makers().activations)

    def idle_ranges(self) -> dict[str, str]:
        why = "the levels are learned"
        learned = self.settings.activations == "learned"
        return {"weight": why} | ({"activation": why} if learned else {})

    def reconstruct(self, *args: Any, **kwargs: Any) -> None:
        return None

    def views(self, student: nn.Module, block: BlockLike) -> Sequence[View]:
        """The levels of each layer's most moved channel, after 0, 1, 2, 4, 8, ... turns and the last."""
        return [view for path in block.layers for view in _turns(path, student.get_submodule(path))]


def _turns(path: str, layer: Any) -> list[View]:
    quantizer = layer.weight_quantizer
    if not isinstance(quantizer, BasisWeightQuantizer) or not len(quantizer.course):
        return []
    last = len(quantizer.course) - 1
    turns = sorted({0, last, *(2**k for k in range(8) if 2**k < last)})
    weight = layer.float_weight[quantizer.shown].detach().flatten().cpu()
    bases = [quantizer.course[turn] for turn in turns]
    levels = [basis_levels(basis[None], signed=True)[0][0] for basis in bases]
    return [
        levels_view(f"{path}, channel {quantizer.shown}", turn, weight, found, basis)
        for turn, found, basis in zip(turns, levels, bases, strict=True)
    ]
