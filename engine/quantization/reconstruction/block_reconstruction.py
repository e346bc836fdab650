"""Block reconstruction: learn rounding and step sizes until the block's output meets the teacher's.

Li et al., BRECQ, ICLR 2021 (blocks); Nagel et al., AdaRound, ICML 2020 (rounding); Wei et al., QDrop,
ICLR 2022 (dropping); Jeon et al., GENIE, CVPR 2023, section 4 (released weight step sizes).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from engine.core.layout import drawn
from engine.core.method import Losses, View
from engine.core.sampling.batches import MiniBatches
from engine.quantization.grids.learned_step import drop_mask
from engine.quantization.grids.quantizers import ActivationQuantizer, WeightQuantizer
from engine.quantization.plan import BlockLike
from engine.quantization.reconstruction.learners import BlockLearners
from engine.quantization.reconstruction.objectives import Objective
from engine.quantization.reconstruction.settings import ReconstructionSettings
from engine.quantization.rounding.views import border_view, soft_rounding_view
from engine.quantization.student import quantizers


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
        self._learners = BlockLearners(student, block, settings, rng)

    def step(self) -> Losses:
        chosen = self._settings
        index = self._batches.draw()
        out = self._block.run(self._student, self._input(index))
        losses = {"reconstruction": self._objective.distance(out, drawn(self._y, index), index)}
        if self._objective.prediction is not None:
            losses["prediction"] = self._objective.prediction(self._undropped(index), index)
        if self._learners.weights and self._steps_done >= chosen.warm_up * chosen.steps:
            losses["rounding"] = chosen.rounding_weight * self._rounding_penalty()
        self._learners.descend(torch.stack(list(losses.values())).sum())
        self._steps_done += 1
        return {name: loss.detach() for name, loss in losses.items()}

    def _undropped(self, index: Tensor) -> Tensor:
        """The block's output as it will be: the student's input, nothing kept float.

        (PD-Quant's release keeps activations float here too, as in the pass that is reconstructed.)
        """
        with self._learners.nothing_dropped():
            out: Tensor = self._block.run(self._student, drawn(self._x_student, index))
        return out

    def _input(self, index: Tensor) -> Tensor:
        """The teacher's input with elements of the student's mixed in (QDrop, section 4)."""
        x = drawn(self._x_teacher, index)
        if not self._settings.mix_input:
            return x
        mask = drop_mask(x, 1 - self._settings.mix_input, self._rng)
        return torch.lerp(x, drawn(self._x_student, index), mask)

    def _rounding_penalty(self) -> Tensor:
        """That of the weights; its exponent falls from the first to the last `sharpness`."""
        chosen = self._settings
        start = chosen.warm_up * chosen.steps
        progress = (self._steps_done - start) / max(chosen.steps - start, 1)
        first, last = chosen.sharpness
        return self._learners.rounding_penalty(first + (last - first) * progress)

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
        weights = self._learners.weights
        shown = [soft_rounding_view(what, weights)] if weights else []
        for name, quantizer in quantizers(self._student, self._block):
            if hasattr(quantizer, "borders"):
                shown.append(border_view(name.removesuffix(".input"), quantizer))
                break
        return shown

    def state_dict(self) -> dict[str, Any]:
        return {
            **self._learners.state_dict(),
            "rng": self._rng.get_state(),
            "order": self._batches.order,
            "steps_done": self._steps_done,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._learners.load_state_dict(state)
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
