"""How fast and how large a recipe is here: a few of its own steps, measured. Imports torch.

Nothing is modelled that can be run: the synthesis method takes two steps at two small batches, and the
quantizer goes through the network with a few images and a few steps a block, by the same code as a run.
"""

import dataclasses
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.core import device as devices
from engine.core.sampling.randomness import stream
from engine.models.graph.walk import Walk, WalkPlan
from engine.run.context import Context, make_context
from engine.run.folders.control import Control
from engine.run.folders.folder import RunFolder
from engine.run.machine.resources import forget_peak, memory_mb, peak_memory_mb
from engine.run.questions.before_a_run.timing_sample import (
    STEPS,
    choose_no_bits,
    extrapolated,
    step_times,
)
from engine.run.recipes.recipe import Recipe
from engine.run.stages.quantization.quantize import chosen_method, load_student
from engine.run.stages.synthesis.reuse import CO_TRAINING
from engine.run.stages.synthesis.synthesise import _method, _request, _settings

PIXELS = 6 * 3 * 224 * 224  # at most so many at a time: what a laptop bears
PARTS = ("synthesis", "quantization")
FEW, MANY = 2, 32  # images: at least, and where they are small


def measure(recipe: Recipe, part: str) -> dict[str, Any]:
    """Seconds and MB of one stage by its budget, as `estimate` reads them; part: one of PARTS.

    Each part has a process of its own, for memory that one has freed hides what the other takes.
    Seconds are of this thread on the processor (see `timing_sample`), which another busy process does not
    lengthen; `busy` says how much longer it took by the clock.
    """
    device = devices.choose()
    with tempfile.TemporaryDirectory() as place:
        small = _small(recipe, part)
        folder = RunFolder.create(Path(place), small)
        context = make_context(small, folder, Control(folder.path), device)
        load_s = time.thread_time()
        count = _images_at_once(context)
        rng = stream(recipe.seed, "pace")
        images = torch.randn(count, *context.card.image_shape, generator=rng)
        clock = time.perf_counter(), time.thread_time()
        work = _synthesis if part == "synthesis" else _quantization
        measured = work(context, recipe, images)
        wall_s, own_s = time.perf_counter() - clock[0], time.thread_time() - clock[1]
        test = len(context.test) if context.test is not None else recipe.images
    return {
        "device": devices.describe(device),
        "load_s": load_s,  # from nothing to a network that is ready
        "busy": max(1.0, wall_s / own_s),
        "test_images": test,
        **measured,
    }


def _small(recipe: Recipe, part: str) -> Recipe:
    """The same recipe; a student beside the images works at once, and leaves no weights to be quantized."""
    images = dict(recipe.synthesis_settings)
    if images.get(CO_TRAINING):
        images |= {"student_warm_up": 0.0, CO_TRAINING: part == "synthesis"}
    return dataclasses.replace(recipe, synthesis_settings=images)


def _images_at_once(context: Context) -> int:
    channels, height, width = context.card.image_shape
    return max(FEW, min(MANY, PIXELS // (channels * height * width)))


def _timed(work: Callable[[], object]) -> float:
    """Seconds of this thread; the best of two."""
    took = []
    for _ in range(2):
        start = time.thread_time()
        work()
        took.append(time.thread_time() - start)
    return min(took)


# --- synthesis ----------------------------------------------------------------------------------


def _synthesis(context: Context, recipe: Recipe, images: Tensor) -> dict[str, Any]:
    """A step's seconds and MB are `fixed + per_image x batch`."""
    sizes = (max(FEW, len(images) // 3), len(images))
    planned = [_method(context).planned_steps(_settings(context), batch) for batch in (0, 1)]
    took, held = [], []
    for size in sizes:
        forget_peak()
        machine = _method(context)(_request(context, 0, size))
        if machine.total_steps:
            machine.step()
            took.append(_timed(machine.step))
        held.append(peak_memory_mb())
    if not took:
        return {"planned": planned, "step_s": [0.0, 0.0], "memory_mb": [held[-1], 0.0]}
    asked = int(recipe.synthesis_settings.get("steps", 0))
    return {
        "planned": planned,  # steps of the first batch, and of a later one,
        "asked": asked,  # where so many were asked for
        "step_s": _line(sizes, took),
        "memory_mb": _line(sizes, held),
    }


def _line(sizes: tuple[int, int], values: list[float]) -> list[float]:
    """[at 0, slope] through two points; neither falls below 0."""
    slope = max(0.0, (values[1] - values[0]) / max(1, sizes[1] - sizes[0]))
    return [max(0.0, values[1] - slope * sizes[1]), slope]


# --- quantization -------------------------------------------------------------------------------


def _quantization(context: Context, recipe: Recipe, images: Tensor) -> dict[str, Any]:
    """Seconds of all blocks' steps together, and of all that comes once for each block."""
    method = chosen_method(context)
    few = method.at_most(STEPS)
    begin_mb = memory_mb()
    forget_peak()
    bits_s, bits_once_s = choose_no_bits(context, images, few)
    begin = time.thread_time()
    took = step_times(context, images, few)
    whole = time.thread_time() - begin
    learned, counted = extrapolated(context.blocks, method, few, took)
    batch = min(int(recipe.quantization_settings.get("batch", len(images))), len(images))
    held = max(0.0, peak_memory_mb() - begin_mb)
    x = context.for_device(images)
    begin = time.thread_time()
    student = load_student(context).to(context.device)
    weights_s = time.thread_time() - begin
    with torch.no_grad():
        both_s = _timed(lambda: context.teacher(x)) + _timed(lambda: student(x))
    return {
        "blocks": len(context.blocks),
        "batch": batch,
        "images": len(images),
        "asked": int(recipe.quantization_settings.get("steps", 0)),
        "learned": learned,  # where so many steps were asked for, at that batch, of all blocks
        "bits_s": bits_s,  # of measuring which layer needs how many bits
        "bits_once_s": bits_once_s,  # of timing the kernels for that, whatever the images
        "weights_s": weights_s,  # of `once_s`: the ranges of the weights, whatever the images
        "once_s": max(0.0, whole - counted),  # ranges, walks, measurements
        "held_mb": _held_mb(context, images[:1]),  # an image's part in what a block keeps
        "forward_s": both_s / len(images),  # of teacher and student, an image
        "start_mb": begin_mb,
        "memory_mb": held,
    }


@torch.no_grad()
def _held_mb(context: Context, image: Tensor) -> float:
    """What the block with the largest input and output keeps of an image, teacher's and student's."""
    largest = 0
    x = context.for_device(image)
    walk = Walk(context.teacher, WalkPlan(context.teacher, context.blocks), x, 1)
    for block in context.blocks:
        before, after = walk.to(block), walk.through(block)
        largest = max(largest, 4 * before.numel() + 2 * after.numel())
    return 4 * largest / 1e6
