"""Vertical layers: one stored code per weight, every precision a prefix of its bits. No training.

Inspired by the abstract of "Vertical Layering of Quantized Neural Networks for Heterogeneous Inference",
2022, arXiv:2212.05326. The paper trains one network for all widths; here codes are floored from a trained
network, with one clip a channel for all widths together and a factor for each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from engine.core.method import MethodCard, View, knob, knob_of
from engine.quantization.base import QuantizationMethod, QuantizerSettings
from engine.quantization.grids.nested import FULL_BITS, NestedQuantizer
from engine.quantization.grids.quantizers import Makers
from engine.quantization.plan import BlockLike

WIDTHS = {"low": (2, 3, 4), "all": tuple(range(1, FULL_BITS + 1)), "full": (FULL_BITS,)}


@dataclass(frozen=True, slots=True, kw_only=True)
class VerticalSettings(QuantizerSettings):
    """Which widths the one clip is chosen for. The rule for weights' ranges never counts."""

    widths: str = knob(
        "low",
        label="Widths that the clip is for",
        help="one clip a channel serves all precisions: low: 2, 3 and 4 bits, which more bits then pay for; "
        "all: 1 to 8; full: 8 bits alone, as if nothing were ever cut off",
        choices=tuple(WIDTHS), off="full",
    )  # fmt: skip
    batchnorm: str = knob_of(QuantizerSettings, "batchnorm", quick="delta", standard="delta")


class Vertical(QuantizationMethod):
    """The run is the network at its first so many bit planes; the codes of all eight are stored."""

    card = MethodCard(
        name="vertical",
        title="Vertical layers",
        summary="Eight bit planes are stored once; the first b of them are the network at b bits.",
        paper="Inspired by: Vertical Layering of Quantized Neural Networks for Heterogeneous Inference, 2022 "
        "(from its abstract; without its training)",
        url="https://arxiv.org/abs/2212.05326",
    )
    Settings = VerticalSettings
    exportable = False  # levels lie in the middle of their cells: 0 is none of them

    def makers(self) -> Makers:
        weights = partial(NestedQuantizer, widths=WIDTHS[self.settings.widths])
        return Makers(weights=weights, activations=super().makers().activations)

    def notes(self) -> list[str]:
        rule = self.settings.weight_range
        return [] if rule == "mse" else [
            f"The rule {rule!r} for the weights' range decides nothing here: one clip serves all widths."
        ]  # fmt: skip

    def reconstruct(self, *args: Any, **kwargs: Any) -> None:
        return None

    @torch.no_grad()
    def views(self, student: nn.Module, block: BlockLike) -> Sequence[View]:
        """Each layer's error as its planes are lit one by one: ‖w − ŵ_b‖² / ‖w‖² for b = 1 to 8."""
        return [_planes(path, student.get_submodule(path)) for path in block.layers]


def _planes(path: str, layer: Any) -> View:
    quantizer, weight, shown = (
        layer.weight_quantizer,
        layer.float_weight,
        layer.weight_quantizer.bits,
    )
    errors = []
    for bits in range(1, FULL_BITS + 1):
        quantizer.show(bits)
        errors.append((weight - quantizer(weight)).square().sum() / weight.square().sum())
    quantizer.show(shown)
    arrays = {"bits": torch.arange(1.0, FULL_BITS + 1), "errors": torch.stack(errors).cpu()}
    return View(form="planes", what=path, arrays=arrays, values={"shown": float(shown)})
