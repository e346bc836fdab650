"""What learns in a block: the roundings and step sizes of its quantizers, under their optimisers.

Nagel et al., AdaRound, ICML 2020 (rounding); Jeon et al., GENIE, CVPR 2023, section 4 (released weight
step sizes).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from engine.core.optimisers import Adam
from engine.quantization.grids.quantizers import ActivationQuantizer, WeightQuantizer
from engine.quantization.plan import BlockLike
from engine.quantization.reconstruction.settings import ReconstructionSettings
from engine.quantization.student import quantizers

_LEAST_RATIO = 0.05  # of its fitted size: a step size never comes near zero, let alone below


class BlockLearners:
    """The quantizers of a block, made soft, with the optimisers that move them."""

    def __init__(
        self,
        student: nn.Module,
        block: BlockLike,
        settings: ReconstructionSettings,
        rng: torch.Generator,
    ) -> None:
        self._settings = settings
        found = [q for _, q in quantizers(student, block)]
        weights = [q for q in found if isinstance(q, WeightQuantizer)]
        self.weights = weights if settings.learn_codes else []
        self.activations = [q for q in found if isinstance(q, ActivationQuantizer)]
        self._all: list[WeightQuantizer | ActivationQuantizer] = [*self.weights, *self.activations]
        self._units = [q.scale.detach().clone() for q in self._all]
        layers = [student.get_submodule(path) for path in block.layers]
        for layer in layers if settings.learn_codes else []:
            layer.weight_quantizer.soften(layer.float_weight)  # type: ignore[union-attr, operator]
        for activation in self.activations:
            activation.learn(settings.keep_float, rng)
        self._optimisers, self._schedules = self._make_optimisers()

    def _make_optimisers(
        self,
    ) -> tuple[list[torch.optim.Optimizer], list[CosineAnnealingLR]]:
        chosen = self._settings
        steps = Adam(
            [
                {"params": [q.scale for q in self.weights], "lr": chosen.lr_weight_step},
                {"params": [q.scale for q in self.activations], "lr": chosen.lr_activation_step},
                {"params": self._also(), "lr": chosen.lr_also},
            ],
            fused=True,  # in one pass over memory: of small blocks these steps are a tenth of all time
        )
        optimisers: list[torch.optim.Optimizer] = [steps]
        falling: list[torch.optim.Optimizer] = [steps]
        if self.weights:
            roundings = [q.rounding for q in self.weights if q.rounding is not None]
            optimisers.insert(0, Adam(roundings, lr=chosen.lr_rounding, fused=True))
            if chosen.rounding_rate == "cosine":
                falling.append(optimisers[0])
        length = max(chosen.steps, 1)
        return optimisers, [CosineAnnealingLR(optimiser, T_max=length) for optimiser in falling]

    def _also(self) -> list[nn.Parameter]:
        return [parameter for q in self.activations for parameter in q.also_learns()]

    def descend(self, total: Tensor) -> None:
        """One step down the loss."""
        for optimiser in self._optimisers:
            optimiser.zero_grad()
        if total.requires_grad:  # a block may have settled codes and an input that is not quantized
            total.backward()
        self._update()

    def _update(self) -> None:
        """One step of both optimisers; relative step sizes move by Adam's step times their fitted size.

        That is Adam on the ratio s / s₀, since Adam does not care how gradients are scaled. Adam's
        absolute steps of 1e-4 are as large as whole step sizes at 8 bits, and negligible at 2.
        """
        before = [q.scale.detach().clone() for q in self._all]
        for optimiser in self._optimisers:
            optimiser.step()
        for schedule in self._schedules:
            schedule.step()
        with torch.no_grad():
            for quantizer, old, unit in zip(self._all, before, self._units, strict=True):
                relative = self._settings.relative_steps
                moved = old + (quantizer.scale - old) * unit if relative else quantizer.scale
                quantizer.scale.copy_(torch.maximum(moved, _LEAST_RATIO * unit))

    @contextmanager
    def nothing_dropped(self) -> Iterator[None]:
        """Within, every element of an activation is quantized, as it will be in the end."""
        for activation in self.activations:
            activation.keep_float = 0.0
        yield
        for activation in self.activations:
            activation.keep_float = self._settings.keep_float

    def rounding_penalty(self, beta: float) -> Tensor:
        """What it costs that weights are undecided (AdaRound, eq. 24)."""
        return torch.stack([q.undecided(beta) for q in self.weights]).sum()

    def state_dict(self) -> dict[str, Any]:
        return {
            "rounding": [q.rounding.detach() for q in self.weights if q.rounding is not None],
            "weight_scales": [q.scale.detach() for q in self.weights],
            "activation_scales": [q.scale.detach() for q in self.activations],
            "also": [parameter.detach() for parameter in self._also()],
            "optimisers": [optimiser.state_dict() for optimiser in self._optimisers],
            "schedules": [schedule.state_dict() for schedule in self._schedules],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        with torch.no_grad():
            for quantizer, saved in zip(self.weights, state["rounding"], strict=True):
                assert quantizer.rounding is not None
                quantizer.rounding.copy_(saved)
            for weight, saved in zip(self.weights, state["weight_scales"], strict=True):
                weight.scale.copy_(saved)
            for activation, saved in zip(self.activations, state["activation_scales"], strict=True):
                activation.scale.copy_(saved)
            for parameter, saved in zip(self._also(), state["also"], strict=True):
                parameter.copy_(saved)
        for optimiser, saved in zip(self._optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        for schedule, saved in zip(self._schedules, state["schedules"], strict=True):
            schedule.load_state_dict(saved)
