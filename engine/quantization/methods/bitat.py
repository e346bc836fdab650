"""BiTAT: weights are made binary in the order of what their inputs matter; later ones make up for earlier.

Inspired by Park, Yoon, Hwang: "BiTAT: Neural Network Binarization with Task-dependent Aggregated
Transformation", 2022, arXiv:2207.01394: only its abstract could be had. There the network is trained, behind
an orthonormal transformation of the weights that is learned; here nothing is trained and nothing turned: the
order and what is passed on come from the correlations of the inputs, from the first block to the last.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from engine.core.method import MethodCard, knob, knob_of
from engine.quantization.base import QuantizerSettings
from engine.quantization.grids.quantizers import Makers
from engine.quantization.grids.weights.mid_rise import MidRiseWeightCodes
from engine.quantization.rounding.layerwise import PatchwiseSettings
from engine.quantization.rounding.method import Layerwise, Policy
from engine.quantization.rounding.ordered import ORDERS, ThreeOrders
from engine.quantization.rounding.patches import LayerProblem


@dataclass(frozen=True, slots=True, kw_only=True)
class BitatSettings(PatchwiseSettings):
    """BiTAT's settings. The rule for weights' ranges does not count."""

    order: str = knob(
        "importance",
        label="Order of the columns",
        help="importance: those whose inputs are strongest first; magnitude: the largest weights first; "
        "random: as drawn. The last two are the controls; the picture has all three",
        choices=ORDERS, off=("magnitude", "random"),
    )  # fmt: skip
    compensate: bool = knob(
        True,
        label="Later columns make up for earlier ones",
        help="each column's error is passed on to those not yet rounded; off: each is rounded as it is",
    )
    refit: int = knob(
        64,
        label="Find the scale anew, every so many columns",
        help="the scale of each channel for which the outputs err least, by least squares; 0: that of the "
        "weights",
        low=0, high=100_000, off=0,
    )  # fmt: skip
    progressive: bool = knob(
        True,
        label="Layers one after another",
        help="each layer is rounded for what the layers before it have become; off: all for the float "
        "network's inputs, as if at once",
    )
    damping: float = knob(
        0.01,
        label="Damping",
        help="share of the correlations' mean diagonal that is added to them",
        low=0, high=10,
    )  # fmt: skip
    batchnorm: str = knob_of(QuantizerSettings, "batchnorm", quick="delta", standard="delta")


class Bitat(Layerwise):
    """Levels are ±a for each channel at 1 bit, ±a and ±3a at 2, and so on."""

    card = MethodCard(
        name="bitat",
        title="BiTAT",
        summary="Down to 1 bit a weight: what matters most to the outputs is rounded first, and the rest "
        "makes up for it.",
        paper="Inspired by Park et al., BiTAT: Neural Network Binarization with Task-dependent Aggregated "
        "Transformation, 2022 (abstract)",
        url="https://arxiv.org/abs/2207.01394",
        shows=("orders",),
        fewest_weight_bits=1,
    )
    Settings = BitatSettings
    exportable = False  # the zero point is between two levels

    def makers(self) -> Makers:
        return replace(super().makers(), weights=MidRiseWeightCodes)

    def idle_ranges(self) -> dict[str, str]:
        return {"weight": "scales are of least squares"}

    def policy(self, rng: torch.Generator) -> Policy:
        chosen: Any = self.settings
        seed = int(torch.randint(2**31, (), generator=rng))
        ordered = partial(
            ThreeOrders, order=chosen.order, refit=chosen.refit, compensate=chosen.compensate,
            damping=chosen.damping, seed=seed,
        )  # fmt: skip

        def policy(problem: LayerProblem) -> ThreeOrders:
            if chosen.progressive:
                return ordered(problem)
            alone = replace(problem, x_student=problem.x_teacher, held_student=problem.held_teacher)
            return ordered(alone)

        return policy
