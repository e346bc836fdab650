"""Quantization-aware factorization: kernels as products of small quantized factors. No training.

Cherniuk, Abukhovich, Phan, Oseledets, Cichocki, Gusak: "Quantization Aware Factorization for Deep Neural
Network Compression", arXiv:2308.04595.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from engine.core.method import MethodCard, View, knob, knob_of
from engine.quantization.base import QuantizationMethod, QuantizerSettings
from engine.quantization.grids.quantizers import Makers
from engine.quantization.grids.weights.factors.factored import FactoredWeightCodes
from engine.quantization.plan import BlockLike


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorizationSettings(QuantizerSettings):
    """Settings of the factors. The rule for weights' ranges counts where nothing is factorized."""

    form: str = knob(
        "cp",
        label="Form of the product",
        help="cp: a sum of products of columns, the paper's; tucker: a small kernel between two matrices of "
        "channels, by the same steps (the paper leaves it open)",
        choices=("cp", "tucker"),
    )  # fmt: skip
    share: float = knob(
        1.0,
        label="Size of the factors",
        help="the rank of each kernel is the largest whose factors take this share of what its plain codes "
        "of the same bits would take",
        low=0.05, high=4,
    )  # fmt: skip
    sweeps: int = knob(
        20,
        label="Sweeps",
        help="at most so many passes over the three factors that look for codes (ADMM); it ends early where "
        "nothing moves any more",
        low=1, high=500, quick=3,
    )  # fmt: skip
    aware: bool = knob(
        True,
        label="Factors found as codes",
        help="off: factors found in floats (balanced alternating least squares), then rounded: the control",
    )
    # The paper estimates BatchNorm anew behind the factors; from made images, only the shift is trusted.
    batchnorm: str = knob_of(
        QuantizerSettings, "batchnorm", default="delta", quick=None, standard=None
    )


class Factorization(QuantizationMethod):
    """Kernels wider than 1x1 are factorized; the first layer, depthwise, 1x1 and linear ones stay plain.

    The paper factorizes those too; a matrix in two factors of its own size has lost rank already.
    """

    card = MethodCard(
        name="factorization",
        title="Quantization-aware factorization",
        summary="Each kernel becomes a product of three small tables, found as whole codes from the start.",
        paper="Cherniuk et al., Quantization Aware Factorization for Deep Neural Network Compression, 2023",
        url="https://arxiv.org/abs/2308.04595",
        shows=("factors",),
    )
    Settings = FactorizationSettings
    exportable = False  # a weight is a sum of products of codes

    def makers(self) -> Makers:
        plain = super().makers()
        return replace(plain, weights=self._factored(plain.weights))

    def _factored(self, plain: Callable[[int], Any]) -> Callable[[int], FactoredWeightCodes]:
        chosen: FactorizationSettings = self.settings

        def made(bits: int) -> FactoredWeightCodes:
            return FactoredWeightCodes(
                bits, share=chosen.share, sweeps=chosen.sweeps, als_only=not chosen.aware,
                plain=plain(bits), form=chosen.form,
            )  # fmt: skip

        return made

    def reconstruct(self, *args: Any, **kwargs: Any) -> None:
        return None

    def views(self, student: nn.Module, block: BlockLike) -> Sequence[View]:
        """Of each factorized kernel: its relative error, from rounded float factors on, sweep by sweep."""
        views = []
        for path in block.layers:
            layer: Any = student.get_submodule(path)
            quantizer: FactoredWeightCodes = layer.weight_quantizer
            if not quantizer.course:
                continue
            course = torch.tensor(quantizer.course)
            told = {
                **dict(zip(("rank", "rank_inputs"), map(float, quantizer.ranks), strict=False)),
                "start": float(course[0]),
                "end": float(course.min()),
            }
            views.append(
                View(
                    form="factors",
                    what=path,
                    arrays={"sweep": torch.arange(len(course)), "relative_error": course},
                    values=told,
                )
            )
        return views
