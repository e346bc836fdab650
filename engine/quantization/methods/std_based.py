"""Std-based quantization: the interval is a multiple of the standard deviation, and prunes on its way.

Inspired by "Standard Deviation-Based Quantization for Deep Neural Networks", arXiv:2202.12422: only its
abstract could be had. There the multiple is learned while the network is trained on data; here it is
solved, for the least error of the weights or for a share of weights that shall become 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import nn

from engine.core.errors import UserError
from engine.core.method import MethodCard, View, knob, knob_of
from engine.quantization.base import QuantizationMethod, QuantizerSettings
from engine.quantization.grids.quantizers import Makers
from engine.quantization.grids.weights.std_interval import (
    ALPHAS,
    SPARED_BITS,
    LogWeightCodes,
    StdWeightQuantizer,
    log_levels,
    spread,
    uniform_levels,
)
from engine.quantization.plan import BlockLike
from engine.quantization.rounding.views import levels_view

_SHOWN = ALPHAS[2::7]  # multiples that are drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class StdBasedSettings(QuantizerSettings):
    """Std-based quantization's settings. The rule for weights' ranges does not count."""

    levels: str = knob(
        "uniform",
        label="Levels",
        help="uniform: evenly from minus to plus the interval; log2: 0 and powers of two, which a shift "
        "multiplies by",
        choices=("uniform", "log2"),
    )
    alpha: float = knob(
        0.0,
        label="Interval in standard deviations",
        help="α: the interval is so many standard deviations of the weights; 0: solved for each layer",
        low=0, high=20,
    )  # fmt: skip
    pruned: float = knob(
        0.0,
        label="Share of weights to prune",
        help="α is solved so that this share of each layer's weights becomes 0; 0: for the least error. "
        f"Layers of {SPARED_BITS} bits (first and last) are not pruned",
        low=0, high=0.99,
    )  # fmt: skip
    prune_by: str = knob(
        "interval",
        label="What prunes",
        help="interval: it is widened until the share is nearest to 0; size: the smallest weights are set "
        "to 0 first, and the interval errs least for the others (the control)",
        choices=("interval", "size"),
    )
    by_channel: bool = knob(
        False,
        label="A standard deviation for each channel",
        help="else one for the whole layer",
    )
    # The paper's training lets BatchNorm follow; without it, few bits and pruning shift every layer.
    batchnorm: str = knob_of(QuantizerSettings, "batchnorm", quick="delta", standard="delta")


class StdBased(QuantizationMethod):
    """Nearest levels within α standard deviations; nothing is trained."""

    card = MethodCard(
        name="std-based",
        title="Std-based, with pruning",
        summary="The levels reach so many standard deviations; what is nearest to 0 is pruned on the way.",
        paper="Inspired by Standard Deviation-Based Quantization for Deep Neural Networks, 2022 (abstract)",
        url="https://arxiv.org/abs/2202.12422",
        shows=("levels",),
    )
    Settings = StdBasedSettings

    def __init__(self, settings: Any) -> None:
        if settings.alpha and settings.pruned:
            raise UserError(
                f"quantization.alpha is {settings.alpha:g} and quantization.pruned {settings.pruned:g}: each "
                "decides the interval; set one of them to 0"
            )
        super().__init__(settings)
        self.exportable = settings.levels == "uniform"

    def makers(self) -> Makers:
        chosen: StdBasedSettings = self.settings
        made = StdWeightQuantizer if chosen.levels == "uniform" else LogWeightCodes
        weights = partial(
            made, alpha=chosen.alpha, pruned=chosen.pruned, by_channel=chosen.by_channel,
            by_size=chosen.prune_by == "size",
        )  # fmt: skip
        return replace(super().makers(), weights=weights)

    def idle_ranges(self) -> dict[str, str]:
        return {"weight": "the interval is a multiple of their standard deviation"}

    def reconstruct(self, *args: Any, **kwargs: Any) -> None:
        return None

    def views(self, student: nn.Module, block: BlockLike) -> Sequence[View]:
        """One channel's weights under the levels of rising intervals, and at last under those chosen."""
        return [
            view
            for path in block.layers
            for view in self._intervals(path, student.get_submodule(path))
        ]

    def _intervals(self, path: str, layer: Any) -> list[View]:
        quantizer, weight = layer.weight_quantizer, layer.float_weight.detach()
        levels = (uniform_levels if self.settings.levels == "uniform" else log_levels)(
            quantizer.bits
        )
        sigma = spread(weight, by_channel=self.settings.by_channel)
        sigma, values = sigma[0, 0].cpu(), weight.flatten(1)[0].cpu()
        views = []
        for turn, alpha in enumerate((*_SHOWN, quantizer.interval_of.alpha)):
            at = levels * (alpha * sigma)
            view = levels_view(path, turn, values, at, torch.tensor([alpha]))
            nearest = at[torch.bucketize(values, (at[1:] + at[:-1]) / 2)]
            pruned = float((nearest == 0).float().mean())
            views.append(
                replace(view, values=view.values | {"alpha": float(alpha), "pruned": pruned})
            )
        return views
