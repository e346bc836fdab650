"""GPFQ: each weight takes the level that best corrects the error of all weights before it. No training.

Lybrand, Saab: "A Greedy Algorithm for Quantizing Neural Networks", JMLR 2021; Zhang, Zhou, Saab:
"Post-training Quantization for Neural Networks with Provable Guarantees", SIAM Journal on Mathematics
of Data Science 2023, arXiv:2201.11113.
"""

from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from engine.core.method import Machine, MethodCard, knob
from engine.quantization.base import QuantizationMethod
from engine.quantization.grid import Grid
from engine.quantization.layerwise import LayerwiseRounding, LayerwiseSettings
from engine.quantization.patches import LayerProblem
from engine.quantization.plan import BlockLike
from engine.quantization.quantizers import Makers, WeightQuantizer
from engine.quantization.rounding import (
    Choose,
    GreedyPath,
    choose_at_random,
    choose_nearest,
    choose_sparse,
)

_MOST_REACH = 127  # whole steps from 0: codes are stored in 8 bits


@dataclass(frozen=True, slots=True, kw_only=True)
class GpfqSettings(LayerwiseSettings):
    """GPFQ's settings; the defaults are the released ones, but for the strict alphabet."""

    form: str = knob(
        "nearest",
        label="Form",
        help="nearest level; one of the two around at random, without bias; or sparse: nearer to 0 first",
        choices=("nearest", "stochastic", "sparse"),
    )
    alphabet: str = knob(
        "strict",
        label="Alphabet",
        help="strict: 2^b − 1 even levels around 0, one step size a layer; paper: as released, 2^b + 1 of "
        "them, which is more than b bits; grid: 2^b levels a channel, by the rule for ranges",
        choices=("strict", "paper", "grid"), quick="grid", standard="grid",
    )  # fmt: skip
    radius: float = knob(
        1.16,
        label="Radius of the alphabet",
        help="in mean largest weights of a neuron",
        low=0.01, high=100,
    )  # fmt: skip
    threshold: float = knob(
        0.5,
        label="Threshold of the sparse form",
        help="in steps: how much nearer to 0 a value comes before it is rounded",
        low=0, high=10,
    )  # fmt: skip


class AlphabetQuantizer(WeightQuantizer):
    """Even levels δ · {−K … K} for a whole layer, K = 2^(b−1) − 1 (strict) or 2^(b−1) (as released)."""

    def __init__(self, bits: int, *, strict: bool, radius: float) -> None:
        super().__init__(bits)
        self._half, self._radius = 2 ** (bits - 1), radius
        self.reach = self._half - 1 if strict else min(self._half, _MOST_REACH)
        self.highest = 2 * self.reach

    def fit(self, weight: Tensor) -> None:
        largest = weight.detach().flatten(1).abs().amax(1).mean()
        step = (self._radius * largest / self._half).clamp_min(1e-12)
        shape = (len(weight),) + (1,) * (weight.dim() - 1)
        scale = step.expand(shape).clone()
        self.place(Grid(scale, torch.full_like(scale, self.reach), 0, self.highest), weight)

    @property
    def code_bits(self) -> int:
        """As released, 2^b + 1 levels need one bit more than b."""
        return int(self.highest).bit_length()

    def side_bits(self) -> int:
        """One float32 step size for the whole layer; 0 is in the middle."""
        return 32


class Gpfq(QuantizationMethod):
    """One pass over the columns of each layer, with the teacher's output as the target."""

    card = MethodCard(
        name="gpfq",
        title="GPFQ",
        summary="Weight by weight, the level is taken that best makes up for the error so far. Seconds.",
        paper="Zhang, Zhou, Saab, Post-training Quantization for Neural Networks with Provable Guarantees, "
        "SIAM J. Math. Data Sci. 2023",
        url="https://arxiv.org/abs/2201.11113",
    )
    Settings = GpfqSettings

    def makers(self) -> Makers:
        chosen: GpfqSettings = self.settings
        if chosen.alphabet == "grid":
            return super().makers()
        strict = chosen.alphabet == "strict"
        return replace(
            super().makers(),
            weights=partial(AlphabetQuantizer, strict=strict, radius=chosen.radius),
        )

    def steps_per_block(self) -> int:
        return int(self.settings.steps)

    def reconstruct(
        self,
        student: nn.Module,
        block: BlockLike,
        *,
        x_teacher: Tensor,
        x_student: Tensor,
        y_teacher: Tensor,
        rng: torch.Generator,
    ) -> Machine | None:
        chosen: GpfqSettings = self.settings
        form = self._form(rng)

        def policy(problem: LayerProblem) -> GreedyPath:
            return GreedyPath(problem, form)

        return LayerwiseRounding(
            student, block, x_teacher=x_teacher, x_student=x_student, patches=chosen.patches,
            policy=policy, steps=chosen.steps, rng=rng,
        )  # fmt: skip

    def _form(self, rng: torch.Generator) -> Choose:
        if self.settings.form == "stochastic":
            return choose_at_random(rng)
        return (
            choose_sparse(self.settings.threshold)
            if self.settings.form == "sparse"
            else choose_nearest
        )
