"""Vertical layers: one stored code for each weight; every precision is a prefix of its bits.

Inspired by Wu, Li, Hu, Zhao, Qin: "Vertical Layering of Quantized Neural Networks for Heterogeneous
Inference", IEEE TPAMI 2023, arXiv:2212.05326: only its abstract could be had. There one training serves all
precisions; here nothing is trained, the clip of each channel is shared by all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torch import nn

from engine.core.errors import UserError
from engine.core.method import MethodCard, View, knob, knob_of
from engine.quantization.base import QuantizationMethod, QuantizerSettings
from engine.quantization.grids.nested import STORED_BITS, NestedWeightCodes, middles, prefix
from engine.quantization.grids.quantizers import Makers
from engine.quantization.plan import BlockLike
from engine.quantization.rounding.views import levels_view


@dataclass(frozen=True, slots=True, kw_only=True)
class VerticalSettings(QuantizerSettings):
    """Vertical layers' settings. The rule for weights' ranges does not count."""

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


class Vertical(QuantizationMethod):
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

    def notes(self) -> list[str]:
        rule = self.settings.weight_range
        if rule == "mse":
            return []
        return [
            f"The rule {rule!r} for the weights' range has nothing to decide: all precisions share a clip."
        ]

    def reconstruct(self, *args: Any, **kwargs: Any) -> None:
        return None

    def views(self, student: nn.Module, block: BlockLike) -> Sequence[View]:
        """One channel's weights and its levels as planes are added, from one to all."""
        return [
            view for path in block.layers for view in _planes(path, student.get_submodule(path))
        ]


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
