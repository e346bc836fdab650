"""Block reconstruction: learn rounding and step sizes until the block's output meets the teacher's.

Li et al., BRECQ, ICLR 2021 (blocks); Nagel et al., AdaRound, ICML 2020 (rounding); Wei et al., QDrop,
ICLR 2022 (dropping); Jeon et al., GENIE, CVPR 2023, section 4 (released weight step sizes).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from engine.core.batches import MiniBatches
from engine.core.method import Losses, View
from engine.quantization.grids.quantizers import ActivationQuantizer, WeightQuantizer, drop_mask
from engine.quantization.plan import BlockLike
from engine.quantization.reconstruction.objectives import Objective
from engine.quantization.rounding.views import border_view, soft_rounding_view
from engine.quantization.student import quantizers

_LEAST_RATIO = 0.05  # of its fitted size: a step size never comes near zero, let alone below


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconstructionSettings:
    """What the papers built on block reconstruction differ in."""

    steps: int
    batch: int
    lr_rounding: float
    lr_weight_step: float  # 0: the weights' step sizes stay as fitted (AdaRound, BRECQ, QDrop)
    lr_activation_step: float
    relative_steps: (
        bool  # step sizes move in proportion to their fitted size, not by absolute amounts
    )
    rounding_weight: float
    warm_up: float  # share of the steps before the rounding regulariser sets in
    sharpness: tuple[float, float]  # its exponent at first and in the end
    keep_float: float  # QDrop: probability that an element stays float
    mix_input: float  # probability that an element of the block's input is the student's
    rounding_rate: str = "constant"  # or "cosine": how the roundings' learning rate goes on
    lr_also: float = 0.0  # for what an activation learns beside its step size (AQuant's borders)
    learn_codes: bool = True  # False: the codes are settled, and only activations learn (BRECQ)


class BlockReconstruction:
    """A step machine: each step draws a mini-batch and takes one optimiser step on the whole block."""

    def __init__(
        self,
        student: nn.Module,
        block: BlockLike,
        *,
        x_teacher: Tensor,
        x_student: Tensor,
        y_teacher: Tensor,
        settings: ReconstructionSettings,
        rng: torch.Generator,
        objective: Objective | None = None,
    ) -> None:
        self._student, self._block, self._settings, self._rng = student, block, settings, rng
        self._objective = Objective() if objective is None else objective
        self._x_teacher, self._x_student, self._y = x_teacher, x_student, y_teacher
        self.total_steps = settings.steps
        self._steps_done = 0
        # (GENIE's code reshapes a permutation to `batch` rows, which makes the real mini-batch
        # images / batch: right for 1024 images and 32 only.)
        self._batches = MiniBatches(len(y_teacher), settings.batch, rng)
        found = [q for _, q in quantizers(student, block)]
        weights = [q for q in found if isinstance(q, WeightQuantizer)]
        self._weights = weights if settings.learn_codes else []
        self._activations = [q for q in found if isinstance(q, ActivationQuantizer)]
        self._learners: list[WeightQuantizer | ActivationQuantizer] = [
            *self._weights,
            *self._activations,
        ]
        self._units = [q.scale.detach().clone() for q in self._learners]
        self._soften()
        self._optimisers, self._schedules = self._make_optimisers()

    def _soften(self) -> None:
        layers = [self._student.get_submodule(path) for path in self._block.layers]
        for layer in layers if self._settings.learn_codes else []:
            layer.weight_quantizer.soften(layer.float_weight)  # type: ignore[union-attr, operator]
        for activation in self._activations:
            activation.learn(self._settings.keep_float, self._rng)

    def _make_optimisers(
        self,
    ) -> tuple[list[torch.optim.Optimizer], list[CosineAnnealingLR]]:
        chosen = self._settings
        steps = torch.optim.Adam(
            [
                {"params": [q.scale for q in self._weights], "lr": chosen.lr_weight_step},
                {"params": [q.scale for q in self._activations], "lr": chosen.lr_activation_step},
                {"params": self._also(), "lr": chosen.lr_also},
            ]
        )
        optimisers: list[torch.optim.Optimizer] = [steps]
        falling: list[torch.optim.Optimizer] = [steps]
        if self._weights:
            roundings = [q.rounding for q in self._weights if q.rounding is not None]
            optimisers.insert(0, torch.optim.Adam(roundings, lr=chosen.lr_rounding))
            if chosen.rounding_rate == "cosine":
                falling.append(optimisers[0])
        length = max(chosen.steps, 1)
        return optimisers, [CosineAnnealingLR(optimiser, T_max=length) for optimiser in falling]

    def _also(self) -> list[nn.Parameter]:
        return [parameter for q in self._activations for parameter in q.also_learns()]

    def step(self) -> Losses:
        chosen = self._settings
        index = self._batches.draw()
        out = self._block.run(self._student, self._input(index))
        losses = {"reconstruction": self._objective.distance(out, self._y[index], index)}
        if self._objective.prediction is not None:
            losses["prediction"] = self._objective.prediction(self._undropped(index), index)
        if self._weights and self._steps_done >= chosen.warm_up * chosen.steps:
            losses["rounding"] = chosen.rounding_weight * self._rounding_penalty()
        total = torch.stack(list(losses.values())).sum()
        for optimiser in self._optimisers:
            optimiser.zero_grad()
        if total.requires_grad:  # a block may have settled codes and an input that is not quantized
            total.backward()
        self._update()
        self._steps_done += 1
        return {name: loss.detach() for name, loss in losses.items()}

    def _undropped(self, index: Tensor) -> Tensor:
        """The block's output as it will be: the student's input, nothing kept float.

        (PD-Quant's release keeps activations float here too, as in the pass that is reconstructed.)
        """
        for activation in self._activations:
            activation.keep_float = 0.0
        out: Tensor = self._block.run(self._student, self._x_student[index])
        for activation in self._activations:
            activation.keep_float = self._settings.keep_float
        return out

    def _update(self) -> None:
        """One step of both optimisers; relative step sizes move by Adam's step times their fitted size.

        That is Adam on the ratio s / s₀, since Adam does not care how gradients are scaled. Adam's
        absolute steps of 1e-4 are as large as whole step sizes at 8 bits, and negligible at 2.
        """
        before = [q.scale.detach().clone() for q in self._learners]
        for optimiser in self._optimisers:
            optimiser.step()
        for schedule in self._schedules:
            schedule.step()
        with torch.no_grad():
            for quantizer, old, unit in zip(self._learners, before, self._units, strict=True):
                relative = self._settings.relative_steps
                moved = old + (quantizer.scale - old) * unit if relative else quantizer.scale
                quantizer.scale.copy_(torch.maximum(moved, _LEAST_RATIO * unit))

    def _input(self, index: Tensor) -> Tensor:
        """The teacher's input with elements of the student's mixed in (QDrop, section 4)."""
        x = self._x_teacher[index]
        if not self._settings.mix_input:
            return x
        mask = drop_mask(x, 1 - self._settings.mix_input, self._rng)
        return torch.where(mask, self._x_student[index], x)

    def _rounding_penalty(self) -> Tensor:
        """Σ over weights of 1 − |2h(V) − 1|^β: zero once every weight has decided (AdaRound, eq. 24)."""
        chosen = self._settings
        start = chosen.warm_up * chosen.steps
        progress = (self._steps_done - start) / max(chosen.steps - start, 1)
        first, last = chosen.sharpness
        beta = first + (last - first) * progress
        return torch.stack(
            [(1 - (2 * q.soft_rounding() - 1).abs().pow(beta)).sum() for q in self._weights]
        ).sum()

    def flipped(self) -> float:
        """The share of the block's codes that now differ from nearest rounding, in [0, 1]."""
        layers: list[Any] = [self._student.get_submodule(path) for path in self._block.layers]
        sizes = [layer.float_weight.numel() for layer in layers]
        shares = [layer.weight_quantizer.flipped(layer.float_weight) for layer in layers]
        return float(sum(n * share for n, share in zip(sizes, shares, strict=True)) / sum(sizes))

    def views(self) -> Sequence[View]:
        """How far the roundings have decided, and how the first learned borders have bent."""
        layers = self._block.layers
        what = layers[0] if len(layers) == 1 else self._block.name
        shown = [soft_rounding_view(what, self._weights)] if self._weights else []
        for name, quantizer in quantizers(self._student, self._block):
            if hasattr(quantizer, "borders"):
                shown.append(border_view(name.removesuffix(".input"), quantizer))
                break
        return shown

    def state_dict(self) -> dict[str, Any]:
        return {
            "rounding": [q.rounding.detach() for q in self._weights if q.rounding is not None],
            "weight_scales": [q.scale.detach() for q in self._weights],
            "activation_scales": [q.scale.detach() for q in self._activations],
            "also": [parameter.detach() for parameter in self._also()],
            "optimisers": [optimiser.state_dict() for optimiser in self._optimisers],
            "schedules": [schedule.state_dict() for schedule in self._schedules],
            "rng": self._rng.get_state(),
            "order": self._batches.order,
            "steps_done": self._steps_done,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        with torch.no_grad():
            for quantizer, saved in zip(self._weights, state["rounding"], strict=True):
                assert quantizer.rounding is not None
                quantizer.rounding.copy_(saved)
            for weight, saved in zip(self._weights, state["weight_scales"], strict=True):
                weight.scale.copy_(saved)
            for activation, saved in zip(
                self._activations, state["activation_scales"], strict=True
            ):
                activation.scale.copy_(saved)
            for parameter, saved in zip(self._also(), state["also"], strict=True):
                parameter.copy_(saved)
        for optimiser, saved in zip(self._optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        for schedule, saved in zip(self._schedules, state["schedules"], strict=True):
            schedule.load_state_dict(saved)
        self._rng.set_state(state["rng"])
        self._batches.order = state["order"]
        self._steps_done = state["steps_done"]


def settle(student: nn.Module, block: BlockLike) -> None:
    """End all learning in the block: whole codes, fixed step sizes, nothing dropped."""
    for _, quantizer in quantizers(student, block):
        if isinstance(quantizer, WeightQuantizer):
            quantizer.harden()
        elif isinstance(quantizer, ActivationQuantizer):
            quantizer.settle()
