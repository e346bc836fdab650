"""A finished run opened again: both networks, its images, and what it was judged on. Imports torch."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.core import device as devices
from engine.models.graph.blocks import Block
from engine.quantization.plan import LayerBits
from engine.run.context import Context, make_context
from engine.run.folders.control import Control
from engine.run.folders.folder import RunFolder
from engine.run.questions.why.askable import refuse_unfinished
from engine.run.recipes.left_out_images import kept_indices
from engine.run.stages.quantization.bits import restore_bits
from engine.run.stages.quantization.correct import with_equal_ranges
from engine.run.stages.quantization.quantize import chosen_method, load_student
from engine.run.stages.synthesis.held_out_images import load_others, set_name
from engine.run.stages.synthesis.synthesise import load_images

BATCH = 100  # images that pass both networks together
Tell = Callable[[int, int, str], None]  # how many are done, how many there are, what is next


def tell_nobody(_done: int, _total: int, _what: str) -> None:
    """For those who do not ask how far it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What a question reads of a run."""

    context: (
        Context  # its teacher has equal ranges where the run equalised, and its plan the run's bits
    )
    student: nn.Module
    images: Tensor  # calibrated on, [n, c, h, w] in the teacher's input space
    test: Tensor  # judged on
    labels: Tensor | None
    test_set: str

    @property
    def teacher(self) -> nn.Module:
        return self.context.teacher

    @property
    def blocks(self) -> tuple[Block, ...]:
        return self.context.blocks

    @property
    def plan(self) -> dict[str, LayerBits]:
        return self.context.plan

    @torch.no_grad()
    def outputs(self, model: nn.Module, x: Tensor) -> Tensor:
        """What a network gives for the images, on the processor."""
        return torch.cat([model(self.context.for_device(part)).cpu() for part in x.split(BATCH)])


def open_run(folder: RunFolder, images: int = 1000) -> Opened:
    """The run with at most so many images to judge with; UserError in one line where it cannot be opened."""
    refuse_unfinished(folder)
    context = make_context(
        folder.recipe, folder, Control(folder.path, lambda _state: None), devices.choose()
    )
    student = load_student(context)
    context = with_equal_ranges(context, chosen_method(context).settings)
    restore_bits(context)
    made = load_images(context)
    made = made[kept_indices(folder.recipe.quantization_settings, len(made))]
    test, labels, name = _test_images(context, made, images)
    return Opened(
        context=context, student=student, images=made, test=test, labels=labels, test_set=name
    )


def _test_images(context: Context, made: Tensor, most: int) -> tuple[Tensor, Tensor | None, str]:
    if context.test is None:
        others = load_others(context)
        if others is None:  # older runs have none
            return made[:most], None, "the calibration images themselves"
        return others[:most], None, set_name(context)
    parts: list[Tensor] = []
    for batch in context.test.batches(min(BATCH, most)):
        parts.append(batch)
        if sum(map(len, parts)) >= most:
            break
    x = torch.cat(parts)[:most]
    labels = context.test.labels if context.output.has_classes else None
    return x, None if labels is None else labels[: len(x)], context.test.name
