"""Whether the memory that is free holds a run: found out on two images before anything large is begun."""

import math
from collections.abc import Iterator

import torch

from engine.core.errors import UserError
from engine.core.events import Event, Noted
from engine.run.context import Context
from engine.run.machine.memory_limit import ALMOST, Room
from engine.run.machine.resources import memory_mb
from engine.run.stages.judging.judge import BATCH, LARGE
from engine.run.stages.memory.counting import Counted, count
from engine.run.stages.memory.stage_needs import (
    FORWARD,
    HEAP,
    machine_mb,
    quantization_mb,
    synthesis_mb,
)
from engine.run.stages.quantization.quantize import CHUNK
from engine.run.stages.synthesis.synthesise import _method, _settings, to_make


def make_room(context: Context, room: Room, *, images_there: bool) -> Iterator[Event]:
    """Compare the run with the memory that is free: split what can be, refuse what cannot, expect the rest.

    Raises UserError with the figure and the way out.
    """
    before = memory_mb()
    free = _free_mb(context, room, before)
    try:
        counted = count(context)
    except (RuntimeError, TypeError):  # a network that cannot be worked on: its stage says why
        return
    sizes = [] if images_there else to_make(context)
    needed = synthesis_mb(context, counted, sizes, free)
    if needed > free:
        raise UserError(_too_large_synthesis(context, sizes, needed, free))
    quantized = quantization_mb(context, counted, context.recipe.images)
    if quantized > free:
        raise UserError(_too_large_quantization(context, counted, quantized, free))
    fits = int(0.5 * free / (HEAP * FORWARD * max(counted.activation, 1e-6)))
    context.most_at_once = max(1, min(fits, context.most_at_once))
    if fits < (BATCH if context.card.image_shape[1] < LARGE else CHUNK):
        yield Noted(
            message=f"Images pass the networks {context.most_at_once} at a time, for {free / 1000:.2f} GB of "
            "memory may be taken: slower, with the same numbers but for the last digits."
        )
    if context.device.type == "cpu":
        passing = HEAP * FORWARD * counted.activation * min(context.most_at_once, 250)
        room.expect(before + max(needed, quantized, passing))


def _free_mb(context: Context, room: Room, held: float) -> float:
    if context.device.type == "cuda":
        return float(ALMOST * torch.cuda.mem_get_info(context.device)[0] / 1e6)
    return room.limit_mb - held


def _too_large_synthesis(context: Context, sizes: list[int], needed: float, free: float) -> str:
    shape = " x ".join(map(str, context.card.image_shape))
    fixed = 16 * math.prod(context.card.image_shape) / 1e6 * context.recipe.images
    fixed += machine_mb(context)
    each = max(1e-6, (needed - fixed) / max(sizes, default=1))
    fit = int(0.9 * (free - fixed) / each)
    at_once = _method(context).at_once or not hasattr(_settings(context), "batch")
    knob = "images" if at_once else "synthesis.batch"
    return _refusal(
        f"making {max(sizes, default=0)} images of {shape} at a time", needed, free, knob, fit
    )


def _too_large_quantization(context: Context, counted: Counted, needed: float, free: float) -> str:
    images = context.recipe.images
    fit = images
    while fit > 1 and quantization_mb(context, counted, fit) > free:
        fit //= 2
    fit = fit if quantization_mb(context, counted, fit) <= free else 0
    return _refusal(f"quantizing with {images} images", needed, free, "images", fit)


def _refusal(what: str, needed: float, free: float, knob: str, fit: int) -> str:
    way = f"set {knob} to {fit} or less" if fit >= 2 else "use a smaller network or smaller images"
    return (
        f"{what} needs about {needed / 1000:.2f} GB, and this run may take {free / 1000:.2f} GB more; "
        f"{way}, or free some memory and resume"
    )
