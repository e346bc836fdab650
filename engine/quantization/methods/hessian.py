"""Hessian-compensated rounding: each weight's rounding error is made up for by those not yet rounded.

Frantar, Ashkboos, Hoefler, Alistarh: "GPTQ: Accurate Post-Training Quantization for Generative
Pre-trained Transformers", ICLR 2023, arXiv:2210.17323, after Hassibi and Stork's Optimal Brain Surgeon.
Here for convolutions, and with the teacher's output as the target: see engine.quantization.rounding.columns.
An eighth of the images is kept back, to measure the error on what no code was chosen by.
"""

from dataclasses import dataclass

import torch

from engine.core.method import MethodCard, knob, knob_of
from engine.quantization.grids.alphabet import idle_ranges, with_alphabet
from engine.quantization.grids.quantizers import Makers
from engine.quantization.rounding.columns import HessianCompensated
from engine.quantization.rounding.layerwise import LayerwiseSettings
from engine.quantization.rounding.method import Layerwise, Policy
from engine.quantization.rounding.patches import LayerProblem


@dataclass(frozen=True, slots=True, kw_only=True)
class HessianSettings(LayerwiseSettings):
    """Settings of Hessian-compensated rounding; damping as in GPTQ's released code."""

    damping: float = knob(
        0.01,
        label="Damping",
        help="share of the Hessian's mean diagonal that is added to it",
        low=0, high=10,
    )  # fmt: skip
    alphabet: str = knob_of(LayerwiseSettings, "alphabet", default="grid")
    order: str = knob(
        "natural",
        label="Order of the columns",
        help="as they come, or those with the largest inputs first",
        choices=("natural", "energy"),
    )


class Hessian(Layerwise):
    """The yardstick for greedy path following: the same target, another rounding.

    As GPTQ, on a grid for each channel; with the other's alphabet the levels are the same too.
    """

    card = MethodCard(
        name="hessian",
        title="Hessian-compensated rounding",
        summary="Weights are rounded one by one, and those still to come make up for each error. Seconds.",
        paper="Frantar et al., GPTQ: Accurate Post-Training Quantization for Generative Pre-trained "
        "Transformers, ICLR 2023 (in its manner)",
        url="https://arxiv.org/abs/2210.17323",
        shows=("path",),
    )
    Settings = HessianSettings

    def makers(self) -> Makers:
        return with_alphabet(super().makers(), self.settings)

    def idle_ranges(self) -> dict[str, str]:
        return idle_ranges(self.settings)

    def policy(self, rng: torch.Generator) -> Policy:
        chosen: HessianSettings = self.settings

        def policy(problem: LayerProblem) -> HessianCompensated:
            return HessianCompensated(
                problem, damping=chosen.damping, by_energy=chosen.order == "energy"
            )

        return policy
