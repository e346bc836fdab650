"""What every grid of an input is handed in the student, and what other grids would do. Imports torch."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from engine.analysis.doctor.record import Input, Wild
from engine.analysis.layers.errors import sqnr_db
from engine.core.sampling.samples import sampled
from engine.core.trace import watch_inputs
from engine.quantization.grids.quantizers import FIT_IMAGES, ActivationQuantizer
from engine.quantization.grids.range_rules import activation_range
from engine.quantization.grids.uniform import StepAndBounds
from engine.run.questions.why.opened import Opened
from engine.run.questions.why.passes import shared_grid

OTHER_RULES = ("mse", "min-max", "percentile")  # that a grid is held against
FAR = 3.0  # times the median image's reach: an image that reaches further is wild
MOST_IMAGES = 256
SAMPLED = 2**15  # values of an input that other rules are tried on


def grid_of(run: Opened, path: str) -> str:
    """The path of the grid for what the layer reads, its own or its block's; "" where there is none."""
    there = shared_grid(run, path)
    if there:
        return there
    own: Any = run.student.get_submodule(path)
    return f"{path}.input_quantizer" if own.input_quantizer is not None else ""


def readers_of(run: Opened) -> dict[str, str]:
    """By the path of each grid, the first layer that reads it."""
    readers: dict[str, str] = {}
    for path in run.plan:
        readers.setdefault(grid_of(run, path), path)
    readers.pop("", None)
    return readers


@torch.no_grad()
def inputs_of(run: Opened) -> dict[str, Input]:
    """By the path of each grid; of the first of its calls where a layer runs several times."""
    readers = readers_of(run)
    reach = _reach(run, readers)
    found: dict[str, Input] = {}
    heard: set[str] = set()

    def listen(grid: str, x: Tensor) -> None:
        if grid not in heard:  # what is looked at here runs the grid itself
            heard.add(grid)
            quantizer: Any = run.student.get_submodule(grid)
            found[grid] = _read(grid, quantizer, x, reach[grid])

    with watch_inputs(run.student, readers, listen):
        run.student(run.context.for_device(run.images[:FIT_IMAGES]))
    return found


def _reach(run: Opened, readers: Mapping[str, str]) -> dict[str, Tensor]:
    """By grid: [n], how far each image reaches where that grid stands, in the teacher.

    Behind a spoiled grid a student's own values tell no more which image spoiled it.
    """
    parts: dict[str, list[Tensor]] = {path: [] for path in readers.values()}
    seen: set[str] = set()

    def listen(path: str, x: Tensor) -> None:
        if path not in seen:
            seen.add(path)
            parts[path].append(x.abs().flatten(1).amax(1))

    with watch_inputs(run.teacher, parts, listen):
        for part in run.images[:MOST_IMAGES].split(FIT_IMAGES):
            seen.clear()
            run.teacher(run.context.for_device(part))
    return {grid: torch.cat(parts[path]) for grid, path in readers.items()}


def _read(grid: str, quantizer: Any, x: Tensor, reach: Tensor) -> Input:
    levels = quantizer.levels().flatten()
    low, high = float(levels.min()), float(levels.max())
    half = (high - low) / max(1, len(levels) - 1) / 2
    beyond = (x < low - half) | (x > high + half)
    channels = x.abs().movedim(quantizer.channel_axis, 0).flatten(1).amax(1)
    plain = type(quantizer) is ActivationQuantizer
    return Input(
        owner=grid.removesuffix(".input_quantizer"), bits=quantizer.bits, low=low, high=high,
        least=float(x.min()), largest=float(x.max()), clipped=float(beyond.double().mean()),
        sqnr_db=sqnr_db(x, quantizer(x)), channels=channels.double().numpy(force=True),
        by_rule=_by_rule(x, quantizer) if plain else {},
        images=reach.double().numpy(force=True), wild=_wild(x, quantizer, reach) if plain else None,
    )  # fmt: skip


def _by_rule(x: Tensor, quantizer: Any) -> dict[str, float]:
    """On a sample that keeps both ends: a search over a whole tensor is slow, and finds next to the same."""
    ends = torch.stack([x.min(), x.max()])
    some = torch.cat([sampled(x, SAMPLED), ends]).view(1, -1)
    return {rule: sqnr_db(some, fitted(some, quantizer, rule).of(some)) for rule in OTHER_RULES}


def fitted(x: Tensor, quantizer: Any, rule: str = "") -> StepAndBounds:
    """A grid of the quantizer's bits fitted to x, by its own rule or another."""
    return activation_range(
        x, quantizer.bits, rule=rule or quantizer.rule,
        percentile=quantizer.percentile if not rule else 99.9, zero_point=quantizer.zero_point,
    )  # fmt: skip


def _wild(x: Tensor, quantizer: Any, reach: Tensor) -> Wild | None:
    """What the images that reach too far do to the grid of all; None where there are none, or all are."""
    far = _far(reach)
    first = far[: len(x)]
    if not bool(first.any()) or int((~first).sum()) < 2:
        return None
    rest = x[~first]
    before, after = fitted(x, quantizer), fitted(rest, quantizer)
    gain = sqnr_db(rest, after.of(rest)) - sqnr_db(rest, before.of(rest))
    places = tuple(far.nonzero().flatten().tolist())
    return Wild(images=places, step_ratio=before.scale / after.scale, gain_db=gain)


def _far(reach: Tensor) -> Tensor:
    return reach > FAR * reach.median()
