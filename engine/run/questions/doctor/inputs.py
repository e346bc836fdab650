"""What every grid of an input is handed in the student, and what other grids would do. Imports torch."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.analysis.doctor.record import Input, Wild
from engine.analysis.errors import sqnr_db
from engine.core.trace import watch_inputs
from engine.quantization.grids.quantizers import FIT_IMAGES, ActivationQuantizer
from engine.quantization.grids.range_search import activation_range
from engine.quantization.grids.uniform import StepAndBounds
from engine.run.questions.why.opened import Opened
from engine.run.questions.why.passes import shared_grid

OTHER_RULES = ("mse", "min-max", "percentile")  # that a grid is held against
FAR = 3.0  # times the median image's reach: an image that reaches further is wild
MOST_IMAGES = 256


def grid_of(run: Opened, path: str) -> str:
    """The path of the grid for what the layer reads, its own or its block's; "" where there is none."""
    there = shared_grid(run, path)
    if there:
        return there
    own: Any = run.student.get_submodule(path)
    return f"{path}.input_quantizer" if own.input_quantizer is not None else ""


@torch.no_grad()
def inputs_of(run: Opened) -> dict[str, Input]:
    """By the path of each grid; of the first of its calls where a layer runs several times."""
    grids = list(dict.fromkeys(grid for grid in (grid_of(run, path) for path in run.plan) if grid))
    found: dict[str, Input] = {}
    reaches: dict[str, list[Tensor]] = {grid: [] for grid in grids}
    heard: set[str] = set()

    def listen(grid: str, x: Tensor) -> None:
        if grid in heard:
            return
        heard.add(grid)
        reaches[grid].append(x.abs().flatten(1).amax(1))
        if grid not in found:
            quantizer: Any = run.student.get_submodule(grid)
            found[grid] = _read(grid, quantizer, x)

    with watch_inputs(run.student, grids, listen):
        for part in run.images[:MOST_IMAGES].split(FIT_IMAGES):
            heard.clear()
            run.student(run.context.for_device(part))
    return {
        grid: _of_all_images(found[grid], torch.cat(reaches[grid]))
        for grid in grids
        if grid in found
    }


def _read(grid: str, quantizer: Any, x: Tensor) -> Input:
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
        images=x.abs().flatten(1).amax(1).double().numpy(force=True),
        wild=_wild(x, quantizer) if plain else None,
    )  # fmt: skip


def _by_rule(x: Tensor, quantizer: Any) -> dict[str, float]:
    return {rule: sqnr_db(x, _rounded(x, _fitted(x, quantizer, rule))) for rule in OTHER_RULES}


def _rounded(x: Tensor, grid: StepAndBounds) -> Tensor:
    return torch.fake_quantize_per_tensor_affine(x, grid.scale, 0, grid.low, grid.high)


def _fitted(x: Tensor, quantizer: Any, rule: str = "") -> StepAndBounds:
    return activation_range(
        x, quantizer.bits, rule=rule or quantizer.rule,
        percentile=quantizer.percentile if not rule else 99.9, zero_point=quantizer.zero_point,
    )  # fmt: skip


def _wild(x: Tensor, quantizer: Any) -> Wild | None:
    """What the images that reach too far do to the grid of all; None where there are none, or all are."""
    far = _far(x.abs().flatten(1).amax(1))
    if not bool(far.any()) or int((~far).sum()) < 2:
        return None
    rest = x[~far]
    before, after = _fitted(x, quantizer), _fitted(rest, quantizer)
    gain = sqnr_db(rest, _rounded(rest, after)) - sqnr_db(rest, _rounded(rest, before))
    places = tuple(far.nonzero().flatten().tolist())
    return Wild(images=places, step_ratio=before.scale / after.scale, gain_db=gain)


def _far(reach: Tensor) -> Tensor:
    return reach > FAR * reach.median()


def _of_all_images(read: Input, reach: Tensor) -> Input:
    """The same with the reach of all images, and those of them that are wild."""
    images: np.ndarray = reach.double().numpy(force=True)
    if read.wild is None:
        return replace(read, images=images)
    places = tuple(_far(reach).nonzero().flatten().tolist())
    return replace(read, images=images, wild=replace(read.wild, images=places))
