"""Gradient-l1: weights are moved to where rounding them, to whatever width, changes the loss least.

Alizadeh, Behboodi, van Baalen, Louizos, Blankevoort, Welling: "Gradient l1 Regularization for
Quantization Robustness", ICLR 2020, arXiv:2002.07520 (read in its abstract and a third party's code).
Rounding moves each weight by half a step at most, so that the loss changes by (s/2) · ‖∂L/∂W‖₁ at most, to
first order; that norm is what is penalised (here of weights alone, not of activations).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from engine.core.method import Losses, MethodCard, View, knob, knob_of
from engine.quantization.base import QuantizerSettings
from engine.quantization.distillation.learner import Learner
from engine.quantization.distillation.method import Distilled, DistilledSettings
from engine.quantization.grids.quantizers import Makers, WeightQuantizer
from engine.quantization.plan import BlockLike


@dataclass(frozen=True, slots=True, kw_only=True)
class GradientL1Settings(DistilledSettings):
    """How hard the norm is pushed down, and how long."""

    lr: float = knob_of(
        DistilledSettings, "lr", default=1e-4, help="Adam, for the weights, along a cosine to 0"
    )
    gradient_weight: float = knob(
        0.01,
        label="Weight of the gradient's norm",
        help="of the sum over weights of the loss's absolute slope; 0 is the control: as long a training "
        "without the penalty",
        low=0, high=100,
    )  # fmt: skip
    batchnorm: str = knob_of(QuantizerSettings, "batchnorm", quick="delta", standard="delta")


class FreeWeight(WeightQuantizer):
    """Passes its float weight while it learns; nearest codes of what it has become afterwards.

    What it has become is kept: that is what can be rounded to any other width.
    """

    learning = False
    trained: Tensor | None

    def fit(self, weight: Tensor) -> None:
        super().fit(weight)
        self.register_buffer("trained", weight.detach().clone())

    def forward(self, weight: Tensor) -> Tensor:
        return weight if self.learning else super().forward(weight)

    def stored(self) -> dict[str, Tensor]:
        return super().stored() | ({} if self.trained is None else {"trained": self.trained})

    def restore(self, state: dict[str, Tensor]) -> None:
        super().restore(state)
        self.register_buffer("trained", state.get("trained"))  # None: older runs kept codes alone


class GradientL1(Distilled):
    """The float network is trained, and rounded to nearest afterwards: at these bits, or at any others."""

    card = MethodCard(
        name="gradient-l1",
        title="Gradient-l1",
        summary="Float weights learn to lie where the loss is flat, so that plain rounding does little harm.",
        paper="Alizadeh et al., Gradient l1 Regularization for Quantization Robustness, ICLR 2020 "
        "(weights alone)",
        url="https://arxiv.org/abs/2002.07520",
        needs=("classes",),
        shows=("slopes", "widths"),
    )
    Settings = GradientL1Settings
    rounded_to = (8, 6, 4, 3)

    def makers(self) -> Makers:
        chosen: GradientL1Settings = self.settings
        weights = partial(FreeWeight, rule=chosen.weight_range, percentile=chosen.percentile)
        return Makers(weights=weights, activations=super().makers().activations)

    def learner(self, student: nn.Module, blocks: Sequence[BlockLike]) -> Learner:
        return FlatLearner(student, blocks, self.settings)


class FlatLearner(Learner):
    """The float weights; activations stay float while they learn, as weights do."""

    def __init__(
        self, student: nn.Module, blocks: Sequence[BlockLike], chosen: GradientL1Settings
    ) -> None:
        super().__init__(student, blocks)
        self._weight = chosen.gradient_weight
        self._lr = chosen.lr
        self._norms: list[float] = []
        for layer in self.layers.values():
            layer.weight_quantizer.learning = True
            layer.float_weight.requires_grad_()

    def groups(self) -> list[dict[str, Any]]:
        return [{"params": [one.float_weight for one in self.layers.values()], "lr": self._lr}]

    def penalties(self, x: Tensor, wanted: Tensor, progress: float) -> Losses:
        """The l1 norm of the slope of the cross entropy to the teacher's own answer.

        Of the divergence from the teacher the slope is 0 where training starts, and says nothing.
        """
        with sdpa_kernel(SDPBackend.MATH):  # fused attention has no second derivative
            scores = self.student(x)
        loss = functional.cross_entropy(scores, wanted.argmax(1))
        weights = [layer.float_weight for layer in self.layers.values()]
        slopes = torch.autograd.grad(loss, weights, create_graph=bool(self._weight))
        norm = torch.stack([slope.abs().sum() for slope in slopes]).sum()
        self._norms.append(float(norm.detach()))
        return {"gradient": self._weight * norm} if self._weight else {}

    @torch.no_grad()
    def settle(self) -> None:
        for layer in self.layers.values():
            layer.float_weight.requires_grad_(False)
            layer.weight_quantizer.learning = False
            layer.weight_quantizer.fit(layer.float_weight)

    def views(self) -> Sequence[View]:
        """The norm of the slope, step by step."""
        every = max(1, len(self._norms) // 128)
        kept = self._norms[::every]
        if not kept:
            return []
        arrays = {"step": 1 + every * torch.arange(len(kept)), "norm": torch.tensor(kept)}
        return [View(form="slopes", what="all weights", arrays=arrays, values={"norm": kept[-1]})]

    def state_dict(self) -> dict[str, Any]:
        return {"norms": list(self._norms)}

    def load_state_dict(self, state: Any) -> None:
        self._norms = list(state["norms"])
