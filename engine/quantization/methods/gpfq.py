"""GPFQ: each weight takes the level that best corrects the error of all weights before it. No training.

Lybrand, Saab: "A Greedy Algorithm for Quantizing Neural Networks", JMLR 2021; Zhang, Zhou, Saab:
"Post-training Quantization for Neural Networks with Provable Guarantees", SIAM Journal on Mathematics
of Data Science 2023, arXiv:2201.11113.

An eighth of the images is kept back, to measure the error on what no code was chosen by.
"""

from dataclasses import dataclass

import torch

from engine.core.method import MethodCard, knob
from engine.quantization.grids.alphabet import idle_ranges, with_alphabet
from engine.quantization.grids.quantizers import Makers
from engine.quantization.rounding.columns import (
    Choose,
    GreedyPath,
    choose_at_random,
    choose_nearest,
    choose_sparse,
)
from engine.quantization.rounding.layerwise import LayerwiseSettings
from engine.quantization.rounding.method import Layerwise, Policy
from engine.quantization.rounding.patches import LayerProblem


@dataclass(frozen=True, slots=True, kw_only=True)
class GpfqSettings(LayerwiseSettings):
    """GPFQ's settings; the defaults are the released ones, but for the strict alphabet."""

    form: str = knob(
        "nearest",
        label="Form",
        help="nearest level; one of the two around at random, without bias; or sparse: nearer to 0 first",
        choices=("nearest", "stochastic", "sparse"),
    )
    threshold: float = knob(
        0.5,
        label="Threshold of the sparse form",
        help="in steps: how much nearer to 0 a value comes before it is rounded",
        low=0, high=10,
    )  # fmt: skip


class Gpfq(Layerwise):
    """One pass over the columns of each layer, with the teacher's output as the target."""

    card = MethodCard(
        name="gpfq",
        title="GPFQ",
        summary="Weight by weight, the level is taken that best makes up for the error so far. Seconds.",
        paper="Zhang, Zhou, Saab, Post-training Quantization for Neural Networks with Provable Guarantees, "
        "SIAM J. Math. Data Sci. 2023",
        url="https://arxiv.org/abs/2201.11113",
        shows=("path",),
    )
    Settings = GpfqSettings

    def makers(self) -> Makers:
        return with_alphabet(super().makers(), self.settings)

    def idle_ranges(self) -> dict[str, str]:
        return idle_ranges(self.settings)

    def policy(self, rng: torch.Generator) -> Policy:
        form = self._form(rng)

        def policy(problem: LayerProblem) -> GreedyPath:
            return GreedyPath(problem, form)

        return policy

    def _form(self, rng: torch.Generator) -> Choose:
        if self.settings.form == "stochastic":
            return choose_at_random(rng)
        return (
            choose_sparse(self.settings.threshold)
            if self.settings.form == "sparse"
            else choose_nearest
        )
