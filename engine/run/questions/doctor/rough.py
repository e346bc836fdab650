"""Students made in memory, to see what a change would do before it is run. Imports torch."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from engine.analysis.doctor.finding import Change
from engine.core.trace import first_value
from engine.models.graph.walk import Walk, WalkPlan
from engine.quantization.grids.quantizers import FIT_IMAGES
from engine.quantization.student import fit_block, make_student
from engine.run.questions.doctor.counterfactual import changed
from engine.run.questions.doctor.inputs import grid_of
from engine.run.questions.why.opened import Opened
from engine.run.recipes.layer_bits import SETTING as BITS
from engine.run.recipes.layer_bits import with_bits
from engine.run.stages.quantization.correct import correct, with_equal_ranges
from engine.run.stages.quantization.quantize import CHUNK, chosen_method
from engine.run.stages.synthesis.students import network_to_quantize

_NOTHING = Change(words="")
ENOUGH = 64  # images that corrections are measured on


@torch.no_grad()
def rounded_to_nearest(run: Opened, change: Change = _NOTHING) -> nn.Module:
    """The student that nearest rounding gives with the change, on grids fitted as a run fits them.

    For a run of nearest rounding with as many images it is the student that the run would end with.
    """
    recipe = changed(run.context.recipe, replace(change, weight_bits={}, activation_bits={}))
    context = replace(run.context, recipe=recipe)
    method = chosen_method(context)
    context = with_equal_ranges(context, method.settings)
    bits = {"weight_bits": change.weight_bits, "activation_bits": change.activation_bits}
    plan = with_bits(run.plan, {BITS: bits})
    student = make_student(network_to_quantize(context), context.blocks, plan, method.makers())
    kept = [k for k in range(len(run.images)) if k not in change.leave_out]
    corrects = method.settings.bias_correction or method.settings.batchnorm != "none"
    images = context.for_device(run.images[kept][: ENOUGH if corrects else FIT_IMAGES])
    walks = Walk(student, WalkPlan(context.teacher, context.blocks), images, CHUNK)
    teacher = Walk(context.teacher, WalkPlan(context.teacher, context.blocks), images, CHUNK)
    for block in context.blocks:
        x = walks.to(block)
        fit_block(student, block, x)
        if corrects:
            cached = {"x_teacher": teacher.to(block), "x_student": x}
            correct(context, method.settings, student, block, cached)
        walks.through(block)
    return student


@contextmanager
def with_other_bits(run: Opened, change: Change) -> Iterator[None]:
    """Inside, the run's own student has the change's bits, on grids fitted to what it reads now."""
    makers = chosen_method(run.context).makers()
    put: list[tuple[Any, str, Any]] = []
    for path, bits in change.weight_bits.items():
        layer: Any = run.student.get_submodule(path)
        quantizer = makers.weights(bits)
        quantizer.fit(layer.float_weight)
        put.append((layer, "weight_quantizer", quantizer))
    x = run.context.for_device(run.images[:FIT_IMAGES])
    for grid, bits in {grid_of(run, p): b for p, b in change.activation_bits.items()}.items():
        owner = run.student.get_submodule(grid.rpartition(".")[0])
        quantizer = makers.activations(bits)
        quantizer.channel_axis = owner.input_quantizer.channel_axis  # type: ignore[union-attr]
        quantizer.fit(first_value(run.student, grid, "input", x))
        put.append((owner, "input_quantizer", quantizer))
    kept = [getattr(owner, name) for owner, name, _ in put]
    for owner, name, quantizer in put:
        setattr(owner, name, quantizer)
    try:
        yield
    finally:
        for (owner, name, _), before in zip(put, kept, strict=True):
            setattr(owner, name, before)
