"""The second stage: block after block loses its bits, and every layer's error is measured."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from engine.core.errors import UserError
from engine.core.events import (
    BlockStarted,
    Event,
    LayerMeasured,
    Noted,
    StageFinished,
    StageStarted,
)
from engine.core.sampling.randomness import stream
from engine.models.graph.blocks import Block
from engine.models.graph.rest_of_network import Rest
from engine.models.graph.walk import Walk, WalkPlan
from engine.quantization import discover_methods
from engine.quantization.base import QuantizationMethod
from engine.quantization.student import (
    fit_block,
    laid_out,
    make_student,
    quantizers,
    restore_block,
    stored_block,
)
from engine.quantization.transforms.bias_and_batchnorm_correction import BatchNormShift
from engine.run.context import Context
from engine.run.folders.damage import quarantined
from engine.run.folders.folder import write_atomically
from engine.run.recipes.layer_bits import plain_settings
from engine.run.stages.quantization.bits import forget_damaged, keep_bits, restore_bits
from engine.run.stages.quantization.correct import (
    announce,
    correct,
    restored_shifts,
    stored_shifts,
    warn,
    with_equal_ranges,
)
from engine.run.stages.quantization.distil import learned_by_all
from engine.run.stages.quantization.measure import measure_layers
from engine.run.stages.quantization.views import block_views
from engine.run.stages.quantization.watch import save_path, watch
from engine.run.stages.synthesis.students import announce_start, network_to_quantize

STAGE = "quantization"
CHUNK = 32  # images that walk through a network together


def quantize(
    context: Context, images: Tensor, method: QuantizationMethod | None = None
) -> Iterator[Event]:
    """Quantize every block; afterwards `load_student` has the student. Finished blocks stay finished.

    `method`: the recipe's own, or the same in fewer steps.
    """
    method = method or chosen_method(context)
    images = context.for_device(method.calibration(images))
    context = with_equal_ranges(context, method.settings)
    rng = stream(context.recipe.seed, STAGE, "bits")
    planner = method.planner(context.teacher, context.blocks, dict(context.plan), images, rng)
    before = planner.total_steps if planner else 0
    total = max(before + method.steps_of_the_whole() + _steps(context, method), 1)
    yield StageStarted(stage=STAGE, total_steps=total)
    yield from (Noted(message=note) for note in (*method.notes(), *method.remarks(context.teacher)))
    yield from announce(context, method.settings)
    yield from announce_start(context)
    shifts: list[BatchNormShift] = []
    start, waited = time.monotonic(), context.control.waited_s
    if planner:
        yield from _choose_bits(context, planner, total)
    network = network_to_quantize(context)
    learned = yield from learned_by_all(context, method, network, images, (before, total))
    before += method.steps_of_the_whole()
    student, damaged = _begin(context, network, method)
    yield from damaged
    measured = {e.path for _, e in context.folder.events() if isinstance(e, LayerMeasured)}
    plan = WalkPlan(context.teacher, context.blocks)
    walks = tuple(
        Walk(model, plan, images, context.at_once(CHUNK)) for model in (context.teacher, student)
    )
    for index, block in enumerate(context.blocks):
        file = _block_file(context, index)
        x_teacher, x_student = walks[0].to(block), walks[1].to(block)
        y_teacher = walks[0].through(block)
        if file.exists():
            kept = load_file(file)
            restore_block(student, block, laid_out(kept))
            shifts += restored_shifts(kept)
            if not measured.issuperset(block.layers):  # its events were lost
                yield from _measured(context, student, block, x_teacher, x_student)
        else:
            context.control.wait()
            yield BlockStarted(block=block.name, index=index, total_steps=method.steps_of(block))
            cached: dict[str, Any] = {
                "x_teacher": x_teacher,
                "x_student": x_student,
                "y_teacher": y_teacher,
            }
            if method.looks_ahead:
                cached["rest"] = Rest(
                    context.teacher, plan, block, images, classifier=context.output.compares_scores
                )
            yield from _one_block(context, method, student, index, cached, (before, total), learned)
            shifts += (found := correct(context, method.settings, student, block, cached))
            yield from _measured(context, student, block, x_teacher, x_student)
            done = before + _steps(context, method, index + 1)
            yield from block_views(method, student, block, done)
            write_atomically(file, save(stored_block(student, block) | stored_shifts(found)))
            context.checkpoint.clear()
        walks[1].through(block)
    yield from warn(shifts, method.settings)
    spent = time.monotonic() - start
    yield StageFinished(stage=STAGE, seconds=spent - (context.control.waited_s - waited))


def _measured(
    context: Context, student: nn.Module, block: Block, x_teacher: Tensor, x_student: Tensor
) -> Iterator[Event]:
    for path, values in measure_layers(context, student, block, x_teacher, x_student):
        yield LayerMeasured(path=path, block=block.name, values=values)


def _choose_bits(context: Context, planner: Any, total: int) -> Iterator[Event]:
    """Take the planner's steps, unless its bits are in the folder already; the plan has them after."""
    yield from forget_damaged(context)
    if not restore_bits(context):
        yield from watch(context, planner, "bits", 0, total)
        yield from keep_bits(context, *planner.solve())
        context.checkpoint.clear()


def _begin(
    context: Context, network: nn.Module, method: QuantizationMethod
) -> tuple[nn.Module, list[Noted]]:
    """The student with all blocks that are finished; what could not be put back is set aside, and noted."""

    def fresh() -> nn.Module:
        return make_student(network, context.blocks, context.plan, method.makers())

    (context.folder.path / "blocks").mkdir(exist_ok=True)
    student, damaged = fresh(), []
    for index, block in enumerate(context.blocks):
        file = _block_file(context, index)
        if file.exists() and not _put_back(student, block, file):
            damaged.append(quarantined(file))
    return (fresh() if damaged else student), damaged


def _put_back(student: nn.Module, block: Block, file: Path) -> bool:
    """Whether the file holds the whole block, which the student then has."""
    wanted = _weight_shapes(student, block)
    try:
        restore_block(student, block, laid_out(load_file(file)))
        layers: list[Any] = [student.get_submodule(path) for path in block.layers]
        finite = all(bool(layer.weight.isfinite().all()) for layer in layers)
        return finite and _weight_shapes(student, block) == wanted
    except (OSError, SafetensorError, LookupError, RuntimeError, ValueError, TypeError):
        return False


def _weight_shapes(student: nn.Module, block: Block) -> dict[str, torch.Size]:
    """The shapes of all that the block's weights consist of."""
    return {
        f"{name}.{key}": value.shape
        for name, quantizer in quantizers(student, block)
        if name.endswith(".weight")
        for key, value in quantizer.stored().items()
    }


def load_student(context: Context) -> nn.Module:
    """The finished student, from its blocks on disk."""
    method = chosen_method(context)
    context = with_equal_ranges(context, method.settings)
    restore_bits(context)
    network = network_to_quantize(context)
    student = make_student(network, context.blocks, context.plan, method.makers())
    for index, block in enumerate(context.blocks):
        file = _block_file(context, index)
        try:
            restore_block(student, block, load_file(file))
        except (OSError, SafetensorError, LookupError, RuntimeError) as error:
            raise UserError(
                f"{file} cannot be read ({error}); delete the run and start it again"
            ) from error
    return student


def _steps(context: Context, method: QuantizationMethod, until: int | None = None) -> int:
    """How many steps the blocks before this one take together; all of them, where none is named."""
    return sum(method.steps_of(earlier) for earlier in context.blocks[:until])


def _block_file(context: Context, index: int) -> Any:
    return context.folder.path / "blocks" / f"{index:03d}.safetensors"


def chosen_method(context: Context) -> QuantizationMethod:
    method = discover_methods()[context.recipe.quantization]
    return method(method.Settings(**plain_settings(context.recipe.quantization_settings)))


def _one_block(
    context: Context,
    method: QuantizationMethod,
    student: nn.Module,
    index: int,
    cached: dict[str, Any],
    steps: tuple[int, int],  # before the first block, and of the whole stage
    learned: Mapping[str, Tensor] | None,  # of all blocks, where the whole student was trained
) -> Iterator[Event]:
    block = context.blocks[index]
    if learned is not None:
        restore_block(student, block, learned)
        return
    fit_block(student, block, cached["x_student"][: 2 * CHUNK])
    rng = stream(context.recipe.seed, STAGE, block.name)
    machine = method.reconstruct(student, block, rng=rng, **cached)
    if machine is not None:
        before = steps[0] + _steps(context, method, index)
        yield from watch(context, machine, block.name, before, steps[1])
        if hasattr(machine, "path"):
            yield save_path(context, machine, index, before + machine.total_steps)
        method.finish(student, block)
