"""PWFN: weights of a spread of their own are fixed, a share at a time, to a few values for the whole network.

Subia-Waud, Dasmahapatra: "Probabilistic Weight Fixing: Large-scale training of neural network weight
uncertainties for quantisation", NeurIPS 2023, arXiv:2309.13575, in the reading of its release.

Departures: the loss is the distance to the teacher's answers on generated images, with BatchNorm as it is,
and the optimiser Adam; biases and BatchNorm stay float and are counted as such (there, biases are fixed
too); a layer of b bits takes at most 2^b values of the codebook, which there has no limit. How fixing
differs is told in engine.quantization.grids.weights.codebook.fixing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from engine.core.method import MethodCard, knob, knob_of
from engine.core.percent import percent
from engine.quantization.base import Distiller, QuantizerSettings
from engine.quantization.distillation.learner import Learner
from engine.quantization.distillation.method import Distilled, DistilledSettings
from engine.quantization.distillation.weight_fixing import FixingLearner, FixingSettings
from engine.quantization.grids.quantizers import Makers
from engine.quantization.grids.weights.codebook.fixed_weight import FixedWeightCodes
from engine.quantization.grids.weights.codebook.fixing import Reach
from engine.quantization.plan import BlockLike, LayerBits

SPREADS = ("learned", "prior", "constant")


@dataclass(frozen=True, slots=True, kw_only=True)
class PwfnSettings(DistilledSettings):
    """PWFN's settings; the rule for weights' ranges does not count."""

    steps: int = knob_of(DistilledSettings, "steps", low=1)
    lr: float = knob_of(
        DistilledSettings, "lr", default=1e-3, quick=3e-4, standard=3e-4,
        help="of the weights' means; Adam, along a cosine to 0 (the paper: SGD)",
    )  # fmt: skip
    sigma_lr: float = knob(
        1e-3,
        label="Learning rate of the spreads",
        help="Adam, along a cosine to 0",
        low=0, high=1,
    )  # fmt: skip
    rounds: int = knob(
        10,
        label="Rounds of fixing",
        help="the share that is fixed rises through 20, 40, 60, 70, 80, 90, 95, 97.5, 99 to 100 per cent, "
        "with training between; 1: all at once, in the end",
        low=1, high=100, off=1,
    )  # fmt: skip
    spread: str = knob(
        "learned",
        label="Spread of a weight",
        help="σ, in which its distance to a value is told. learned: large where the answers do not mind; "
        "prior: as it starts, large between powers of two; constant: the same for all, the control",
        choices=SPREADS, off=("constant", "prior"),
    )  # fmt: skip
    constant_sigma: float = knob(
        0.0025, label="Constant spread", help="where it is constant", low=1e-6, high=1
    )
    spread_weight: float = knob(
        2.0**-11,
        label="Pull on the spreads",
        help="λ: how hard every spread is pulled up to 0.05",
        low=0, high=10, within="spread",
    )  # fmt: skip
    delta: float = knob(
        1.0,
        label="First reach of a value",
        help="δ: from how many spreads away a value takes weights; doubled where none does",
        low=0.01, high=1000,
    )  # fmt: skip
    order: int = knob(
        4,
        label="Powers of two in a value, at most",
        help="ω: each value is a sum of so many, with signs",
        low=1, high=6,
    )  # fmt: skip
    finest: int = knob(
        7,
        label="Smallest power of two",
        help="2 to minus this; weights below it go to 0",
        low=1, high=16,
    )  # fmt: skip
    batchnorm: str = knob_of(QuantizerSettings, "batchnorm", quick="delta", standard="delta")


class Pwfn(Distilled):
    """One codebook for the network; the bits of a layer say how many of its values the layer may use."""

    card = MethodCard(
        name="pwfn",
        title="Probabilistic weight fixing (PWFN)",
        summary="The whole network ends with a few values, sums of powers of two: at b bits 2 to the b; each "
        "weight learns how far it may move to one.",
        paper="Subia-Waud, Dasmahapatra, Probabilistic Weight Fixing: Large-scale training of neural network "
        "weight uncertainties for quantisation, NeurIPS 2023",
        url="https://arxiv.org/abs/2309.13575",
        shows=("fixing",),
    )
    Settings = PwfnSettings
    exportable = False  # levels are uneven

    def makers(self) -> Makers:
        return replace(super().makers(), weights=partial(FixedWeightCodes, reach=self._reach()))

    def _reach(self) -> Reach:
        chosen: PwfnSettings = self.settings
        return Reach(delta=chosen.delta, most_order=chosen.order, finest=chosen.finest)

    def idle_ranges(self) -> dict[str, str]:
        return {"weight": "there is a codebook"}

    def remarks(self, teacher: nn.Module) -> list[str]:
        """Weights so small that the codebook has nothing but 0 for them."""
        least = 2.0**-self.settings.finest
        small = [
            path
            for path, module in teacher.named_modules()
            if isinstance(module, (nn.Conv2d, nn.Linear))
            and float((module.weight.abs() < least).float().mean()) > 0.9
        ]
        if not small:
            return []
        return [
            f"Of {len(small)} layers, {small[0]} first, more than {percent(0.9, 0)} of the weights are "
            f"below {least:.2g} and will be 0; raise quantization.finest, which is {self.settings.finest}."
        ]

    def distiller(
        self,
        teacher: nn.Module,
        blocks: Sequence[BlockLike],
        plan: Mapping[str, LayerBits],
        images: Tensor,
        rng: torch.Generator,
        *,
        fit: Callable[[nn.Module], None],
        classifier: bool,
    ) -> Distiller | None:
        def fit_floats(student: nn.Module) -> None:
            """Inputs are those of float weights: fixing has not begun."""
            for module in student.modules():
                if isinstance(module, FixedWeightCodes):
                    module.learning = True
            fit(student)

        return super().distiller(
            teacher, blocks, plan, images, rng, fit=fit_floats, classifier=classifier
        )

    def learner(self, student: nn.Module, blocks: Sequence[BlockLike]) -> Learner:
        chosen: Any = self.settings
        names = ("steps", "rounds", "spread", "constant_sigma", "spread_weight", "lr", "sigma_lr")
        told = {name: getattr(chosen, name) for name in names}
        return FixingLearner(student, blocks, FixingSettings(reach=self._reach(), **told))
