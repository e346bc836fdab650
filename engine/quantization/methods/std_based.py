"""Std-based quantization: a layer's range is a learned number of standard deviations, and pruning with it.

Inspired by the abstract of "Standard Deviation-Based Quantization for Deep Neural Networks", 2022,
arXiv:2202.12422; its text could not be had, so all formulas are our reading.
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
from engine.quantization.grids.deviation import SHAPES, DeviationQuantizer
from engine.quantization.grids.quantizers import Makers
from engine.quantization.plan import BlockLike


@dataclass(frozen=True, slots=True, kw_only=True)
class StdBasedSettings(DistilledSettings):
    """The levels, the share pruned, and how alpha and the weights learn."""

    shape: str = knob(
        "uniform",
        label="Levels",
        help="uniform: even steps; log2: 0 and the interval halved again and again",
        choices=SHAPES,
    )
    prune: float = knob(
        0.0,
        label="Share pruned",
        help="of each layer's weights that become 0; 0 leaves alpha to be learned instead of solved for it",
        low=0, high=0.99, off=0.0,
    )  # fmt: skip
    lr: float = knob_of(
        DistilledSettings, "lr", default=1e-4, help="Adam, for the weights, along a cosine to 0"
    )
    lr_alpha: float = knob(
        1e-2, label="Learning rate of alpha", help="Adam, along a cosine to 0", low=0, high=1
    )
    batchnorm: str = knob_of(QuantizerSettings, "batchnorm", quick="delta", standard="delta")


class StdBased(Distilled):
    """Alpha is the one knob of a layer: it sets its range, its step and how many weights are 0."""

    card = MethodCard(
        name="std-based",
        title="Std-based with pruning",
        summary="A layer's range is so many standard deviations: one number sets range, step and pruning.",
        paper="Inspired by: Standard Deviation-Based Quantization for Deep Neural Networks, 2022 "
        "(from its abstract)",
        url="https://arxiv.org/abs/2202.12422",
    )
    Settings = StdBasedSettings
    exportable = False  # one interval a layer, 2^b − 1 levels, and log2 levels are no even grid

    def makers(self) -> Makers:
        chosen: StdBasedSettings = self.settings
        weights = partial(DeviationQuantizer, shape=chosen.shape, prune=chosen.prune)
        return Makers(weights=weights, activations=super().makers().activations)

    def notes(self) -> list[str]:
        rule = self.settings.weight_range
        return [] if rule == "mse" else [
            f"The rule {rule!r} for the weights' range has nothing to decide here: alpha sets it."
        ]  # fmt: skip

    def learner(self, student: nn.Module, blocks: Sequence[BlockLike]) -> "StdLearner":
        return StdLearner(student, blocks, self.settings)


class StdLearner(BaseLearner):
    """The float weights and every layer's alpha."""

    def __init__(
        self, student: nn.Module, blocks: Sequence[BlockLike], chosen: StdBasedSettings
    ) -> None:
        super().__init__(student, blocks)
        self._chosen = chosen
        for layer in self.layers.values():
            layer.weight_quantizer.learn()
            layer.float_weight.requires_grad_()

    def groups(self) -> list[dict[str, Any]]:
        layers = self.layers.values()
        alphas = [layer.weight_quantizer.alpha for layer in layers]
        return [
            {"params": [layer.float_weight for layer in layers], "lr": self._chosen.lr},
            {"params": alphas, "lr": self._chosen.lr_alpha},
        ]

    def after(self, progress: float) -> None:
        for layer in self.layers.values():
            layer.weight_quantizer.follow(layer.float_weight)

    @torch.no_grad()
    def settle(self) -> None:
        for layer in self.layers.values():
            layer.weight_quantizer.follow(layer.float_weight)
            layer.weight_quantizer.settle(layer.float_weight)
            layer.float_weight.requires_grad_(False)

    @torch.no_grad()
    def views(self) -> Sequence[View]:
        """Layer by layer: alpha, and the share of weights that are 0."""
        quantizers = [layer.weight_quantizer for layer in self.layers.values()]
        zeros = [float((layer.weight == 0).float().mean()) for layer in self.layers.values()]
        arrays = {
            "alpha": torch.stack([q.alpha.detach().cpu() for q in quantizers]),
            "zeros": torch.tensor(zeros),
        }
        return [View(form="deviations", what="all layers", arrays=arrays)]
