"""Looks inside a quantizer, thinned so that they cost nothing that anyone would notice."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from engine.analysis.layers.codes import code_histogram
from engine.core.events import Viewed
from engine.core.method import View
from engine.models.graph.blocks import Block
from engine.quantization.base import QuantizationMethod
from engine.quantization.grids.level_sets import CodedPart
from engine.run.step_loop import Thinned

STAGE = "quantization"
PER_BLOCK = 24  # looks at a block at most: a long run stays a small file
PER_SECOND = 4.0
FEW = 40  # steps of a block that are all looked at: a way of columns is soon gone, and then seen whole
MOST_LEVELS = 64  # of one channel


class Looks:
    """When to look at a machine, and what was seen."""

    def __init__(self, machine: Any) -> None:
        self._machine, self._total = machine, machine.total_steps
        self._thinned = Thinned(PER_SECOND)
        self._next = 0

    def after(self, step: int) -> Sequence[View]:
        """What is seen after this step, counted from 1; always after the first, the last and each of few."""
        views = getattr(self._machine, "views", None)
        always = self._total <= FEW or step in (1, self._total)
        if views is None or not (always or (step >= self._next and self._thinned.is_due())):
            return ()
        self._next = step + max(1, self._total // PER_BLOCK)
        seen: Sequence[View] = views()
        return seen


def viewed_event(view: View, part: str, step: int) -> Viewed:
    """The event of a view; numbers with four digits, what is not a number as None."""
    arrays = {name: _plain(array) for name, array in view.arrays.items()}
    values = {name: value for name, value in view.values.items() if math.isfinite(value)}
    return Viewed(
        stage=STAGE, part=part, step=step, form=view.form, what=view.what, arrays=arrays, values=values
    )  # fmt: skip


def _plain(array: Tensor) -> list[float | None]:
    return [float(f"{x:.4g}") if math.isfinite(x) else None for x in array.flatten().tolist()]


def block_views(
    method: QuantizationMethod, student: nn.Module, block: Block, step: int
) -> Iterator[Viewed]:
    """What a finished block shows: how its levels came about, and which codes its weights have."""
    for view in method.views(student, block):
        yield viewed_event(view, block.name, step)
    for path in block.layers:
        for view in codes_views(path, student.get_submodule(path)):
            yield viewed_event(view, block.name, step)


@torch.no_grad()
def codes_views(path: str, layer: Any) -> Iterator[View]:
    """The codes of each part that the layer's weight is made of; the first is named as the layer."""
    for k, part in enumerate(layer.weight_quantizer.parts(layer.float_weight)):
        yield _codes_view(f"{path}, {part.name}" if k else path, part)


def _codes_view(what: str, part: CodedPart) -> View:
    """The floats on the grid of their channel, and the codes taken; one channel in its own units."""
    widest = int(part.values.abs().amax(1).argmax())
    channel, grid = part.values[widest].cpu(), part.levels[widest].cpu()
    low, high = float(channel.min()), float(channel.max())
    every = max(1, -(-len(grid) // MOST_LEVELS))
    arrays = code_histogram(part.values, part.levels, part.codes) | {
        "channel_shares": torch.histc(channel.float(), 32, low, high) / len(channel),
        "channel_levels": grid[::every],
    }
    values = {"channel": float(widest), "low": low, "high": high}
    return View(form="codes", what=what, arrays=arrays, values=values)
