"""AdaRound: each layer's weights rounded up or down so that the layer's output stays what it was.

Nagel, Amjad, van Baalen, Louizos, Blankevoort: "Up or Down? Adaptive Rounding for Post-Training
Quantization", ICML 2020, arXiv:2004.10568; the asymmetric reconstruction of eq. 25: the student's inputs,
with the errors of all layers before, are brought to the teacher's outputs.

Weights only: activations keep the step sizes found for them, and are quantized while weights learn. The
layer's output is taken behind the BatchNorm and the activation function that follow it as modules; an
activation called as a function is not seen, and then the output before it counts.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.core.method import Machine, MethodCard, knob
from engine.core.trace import watch_inputs
from engine.models.graph.blocks import Block, layer_blocks
from engine.quantization.base import RestLike, Stretch
from engine.quantization.plan import BlockLike
from engine.quantization.reconstruction.block_reconstruction import BlockReconstruction, settle
from engine.quantization.reconstruction.phases import Phase, Phases
from engine.quantization.reconstruction.reconstruction_method import (
    Blockwise,
    RoundingSettings,
    core_settings,
    known,
)

_CHUNK = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaRoundSettings(RoundingSettings):
    """AdaRound's settings; the defaults are the paper's."""

    steps: int = knob(
        10_000,
        label="Steps per layer",
        help="reconstruction steps for each layer: a block of two layers takes twice as many",
        low=0, high=1_000_000, quick=60, standard=400,
    )  # fmt: skip


class AdaRound(Blockwise):
    """Layer after layer; as many phases as the block has layers."""

    card = MethodCard(
        name="adaround",
        title="AdaRound",
        summary="Up or down is learned for every weight, so that each layer by itself errs least.",
        paper="Nagel et al., Up or Down? Adaptive Rounding for Post-Training Quantization, ICML 2020",
        url="https://arxiv.org/abs/2004.10568",
        shows=("soft-rounding",),
    )
    Settings = AdaRoundSettings

    def steps_of(self, block: BlockLike) -> int:
        return int(self.settings.steps) * len(block.layers)

    def stretches_of(self, block: BlockLike) -> tuple[Stretch, ...]:
        return (Stretch(steps=int(self.settings.steps)),) * len(block.layers)

    def reconstruct(
        self,
        student: nn.Module,
        block: BlockLike,
        *,
        x_teacher: Tensor,
        x_student: Tensor,
        y_teacher: Tensor,
        rng: torch.Generator,
        rest: RestLike | None = None,
    ) -> Machine | None:
        chosen: AdaRoundSettings = self.settings
        if not chosen.steps:
            return None
        teacher = known(rest).teacher

        def begin(layer: Block) -> Machine:
            x = inputs_of(teacher, block, layer, x_teacher)
            with torch.no_grad():
                y = torch.cat([layer.run(teacher, part) for part in x.split(_CHUNK)])
            return BlockReconstruction(
                student, layer, x_teacher=x, y_teacher=y,
                x_student=inputs_of(student, block, layer, x_student),
                settings=core_settings(chosen), rng=rng,
            )  # fmt: skip

        return Phases(
            [
                Phase(
                    steps=chosen.steps,
                    begin=lambda layer=layer: begin(layer),  # type: ignore[misc]
                    end=lambda layer=layer: settle(student, layer),  # type: ignore[misc]
                )
                for layer in layer_blocks(teacher, block.layers)
            ]
        )


@torch.no_grad()
def inputs_of(model: nn.Module, block: BlockLike, layer: Block, x: Tensor) -> Tensor:
    """What arrives at a layer of the block, for all images."""
    seen: list[Tensor] = []
    with watch_inputs(model, [layer.paths[0]], lambda path, value: seen.append(value.clone())):
        for part in x.split(_CHUNK):
            block.run(model, part)
    return torch.cat(seen)
