"""Weight sharing: prune, let each layer's weights share a few values, and learn those from the teacher.

The lossy half of HAC and sHAC (Marinò et al., "Compression strategies and space-conscious representations
for deep neural networks", ICPR 2020); the other half, which loses nothing, is the command `storage`. Values
learn by the sum of the slopes of the weights that share them (Han, Mao, Dally: "Deep Compression", 2016).

Departures: there the network is pruned and its values learned on labelled data, in turns; here both happen
once, and what is learned from is the teacher's answers to generated images. A share is pruned in each layer,
not over all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import nn

from engine.core.method import MethodCard, View, knob, knob_of
from engine.quantization.base import QuantizerSettings
from engine.quantization.distillation.learner import Learner
from engine.quantization.distillation.method import Distilled, DistilledSettings
from engine.quantization.grids.quantizers import Makers
from engine.quantization.grids.weights.codebook.shared import (
    SHARINGS,
    SPARED_BITS,
    SharedWeightCodes,
)
from engine.quantization.plan import BlockLike
from engine.quantization.rounding.views import levels_view


@dataclass(frozen=True, slots=True, kw_only=True)
class SharingSettings(DistilledSettings):
    """What is pruned, and how values are found. The rule for weights' ranges does not count."""

    # In some hundred steps values that learned lost more than those as found (bench quantizers, 2 bits).
    steps: int = knob_of(
        DistilledSettings, "steps", quick=0,
        help="of the whole network, each of one mini-batch; 0: values stay as they are found",
    )  # fmt: skip
    lr: float = knob_of(
        DistilledSettings, "lr", default=1e-2,
        label="Learning rate of the values",
        help="Adam, as a share of the mean size of a layer's values, along a cosine to 0",
    )  # fmt: skip
    sharing: str = knob(
        "k-means",
        label="How weights share values",
        help="k-means: each value is the mean of its weights; quantiles: as many weights between any two "
        "values; probabilistic: quantiles too, but each weight takes the value below or above by chance, "
        "so that all are met on average",
        choices=SHARINGS,
    )
    pruned: float = knob(
        0.0,
        label="Share of weights to prune",
        help="the smallest of each layer become 0 and stay it; from about 0.9 on the sparse form of the "
        f"file is the smaller one. Layers of {SPARED_BITS} bits (first and last) are not pruned",
        low=0, high=0.99,
    )  # fmt: skip
    # Pruning and few values shift every layer; the papers' training lets BatchNorm follow.
    batchnorm: str = knob_of(QuantizerSettings, "batchnorm", quick="delta", standard="delta")


class Sharing(Distilled):
    """A table of 2^bits values for each layer; the codes stay as they were shared out."""

    card = MethodCard(
        name="sharing",
        title="Weight sharing (HAC, sHAC)",
        summary="Small weights become 0, the others share a few values that learn from the teacher.",
        paper="Marinò et al., Compression strategies and space-conscious representations for deep neural "
        "networks, ICPR 2020",
        url="https://github.com/giosumarin/ICPR2020_sHAM",
        shows=("levels",),
        fewest_weight_bits=1,
    )
    Settings = SharingSettings
    exportable = False  # values lie on no even grid

    def makers(self) -> Makers:
        chosen: SharingSettings = self.settings
        weights = partial(SharedWeightCodes, sharing=chosen.sharing, prune=chosen.pruned)
        return replace(super().makers(), weights=weights)

    def idle_ranges(self) -> dict[str, str]:
        return {"weight": "values are shared"}

    def learner(self, student: nn.Module, blocks: Sequence[BlockLike]) -> Learner:
        return TableLearner(student, blocks, self.settings.lr)

    def views(self, student: nn.Module, block: BlockLike) -> Sequence[View]:
        """One channel's weights over the values of its layer."""
        return [_shared(path, student.get_submodule(path)) for path in block.layers]


def _shared(path: str, layer: Any) -> View:
    quantizer: SharedWeightCodes = layer.weight_quantizer
    values, table = layer.float_weight.detach().flatten(1)[0].cpu(), quantizer.table.detach().cpu()
    view = levels_view(path, 0, values, table, table)
    pruned = float((quantizer.pruned[quantizer.codes.long()]).float().mean())
    return replace(view, values=view.values | {"pruned": pruned})


class TableLearner(Learner):
    """The values of every layer's table."""

    def __init__(self, student: nn.Module, blocks: Sequence[BlockLike], lr: float) -> None:
        super().__init__(student, blocks)
        self._lr = lr
        self._tables = [layer.weight_quantizer.learn() for layer in self.layers.values()]

    def groups(self) -> list[dict[str, Any]]:
        return [
            {"params": [table], "lr": self._lr * float(table.detach().abs().mean())}
            for table in self._tables
        ]

    @torch.no_grad()
    def settle(self) -> None:
        for layer in self.layers.values():
            layer.weight_quantizer.settle()
