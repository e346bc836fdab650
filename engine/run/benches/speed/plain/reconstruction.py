"""GENIE-M's reconstruction of a block as published code writes it, on quantizers of the same kind.

It computes what `block_reconstruction` computes, up to rounding, where it is given the
same draws; a test holds the two together.
"""

import copy

import torch
from torch import Tensor, nn

from engine.core.layout import contiguous
from engine.core.sampling.batches import MiniBatches
from engine.quantization.layers import QuantInput, QuantLayer
from engine.quantization.plan import BlockLike
from engine.quantization.reconstruction.settings import ReconstructionSettings
from engine.run.benches.speed.plain.quantizers import Draw, PlainInput, PlainWeights


class PlainReconstruction:
    """A step draws a mini-batch and takes one step of each optimiser; it gives the losses before it."""

    def __init__(
        self,
        student: nn.Module,  # whose block is fitted, and not yet softened
        block: BlockLike,
        *,
        x_teacher: Tensor,
        x_student: Tensor,
        y_teacher: Tensor,
        settings: ReconstructionSettings,
        rng: torch.Generator,
        draw: Draw,
    ) -> None:
        self._block, self._settings, self._draw = block, settings, draw
        self._x = x_teacher.contiguous(), x_student.contiguous()
        self._y = y_teacher.contiguous()
        self._student = copy.deepcopy(student)
        self._batches = MiniBatches(len(self._y), settings.batch, rng)
        self._weights: list[PlainWeights] = []
        self._inputs: list[PlainInput] = []
        for path in dict.fromkeys((*block.paths, *block.layers)):
            self._make_plain(self._student.get_submodule(path))
        contiguous(self._student)
        self._roundings = torch.optim.Adam(
            [each.rounding for each in self._weights], lr=settings.lr_rounding
        )
        self._sizes = torch.optim.Adam(
            [
                {"params": [each.scale for each in self._weights], "lr": settings.lr_weight_step},
                {
                    "params": [each.scale for each in self._inputs],
                    "lr": settings.lr_activation_step,
                },
            ]
        )
        self._cosine = torch.optim.lr_scheduler.CosineAnnealingLR(self._sizes, settings.steps)
        self._steps_done = 0

    def _make_plain(self, module: nn.Module) -> None:
        if isinstance(module, (QuantInput, QuantLayer)) and module.input_quantizer is not None:
            plain = PlainInput(module.input_quantizer, self._settings.keep_float, self._draw)
            module.input_quantizer = plain  # type: ignore[assignment]
            self._inputs.append(plain)
        if isinstance(module, QuantLayer):
            weights = PlainWeights(module.weight_quantizer, module.float_weight)  # type: ignore[arg-type]
            module.weight_quantizer = weights  # type: ignore[assignment]
            self._weights.append(weights)

    def step(self) -> dict[str, Tensor]:
        chosen, index = self._settings, self._batches.draw()
        x, own = (part[index] for part in self._x)
        mixed = torch.where(self._draw(x, chosen.mix_input), own, x)
        out = self._block.run(self._student, mixed)
        losses = {"reconstruction": (out - self._y[index]).square().sum(1).mean()}
        start = chosen.warm_up * chosen.steps
        if self._steps_done >= start:
            progress = (self._steps_done - start) / max(chosen.steps - start, 1)
            first, last = chosen.sharpness
            losses["rounding"] = chosen.rounding_weight * self._penalty(
                first + (last - first) * progress
            )
        total = torch.stack(list(losses.values())).sum()
        self._roundings.zero_grad()
        self._sizes.zero_grad()
        total.backward()
        self._roundings.step()
        self._sizes.step()
        self._cosine.step()
        self._steps_done += 1
        return {name: loss.detach() for name, loss in losses.items()}

    def settle(self, student: nn.Module) -> None:
        """Give the student whose block was learned what it ended with."""
        for path in dict.fromkeys((*self._block.paths, *self._block.layers)):
            module, learned = student.get_submodule(path), self._student.get_submodule(path)
            if isinstance(module, (QuantInput, QuantLayer)) and module.input_quantizer is not None:
                scale = learned.input_quantizer.scale.detach().clone()  # type: ignore[union-attr, operator]
                module.input_quantizer.scale = nn.Parameter(scale, requires_grad=False)
            if isinstance(module, QuantLayer):
                module.weight_quantizer.restore(learned.weight_quantizer.settled())  # type: ignore[union-attr, operator]

    def _penalty(self, beta: float) -> Tensor:
        penalty = torch.zeros(())
        for each in self._weights:
            penalty = penalty + (1 - (2 * each.soft_rounding() - 1).abs().pow(beta)).sum()
        return penalty
