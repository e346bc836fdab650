"""The first stage: images, one batch after another, each seen growing."""

import io
import time
from collections.abc import Iterator
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from engine.analysis.images.confidence import class_spread, confidence
from engine.core.errors import UserError
from engine.core.events import Event, Noted, SnapshotSaved, StageFinished, StageStarted, Stepped
from engine.core.sampling.randomness import stream
from engine.run.context import Context
from engine.run.folders import damage
from engine.run.folders.folder import write_atomically
from engine.run.machine.resources import memory_mb
from engine.run.stages.synthesis import image_statistics
from engine.run.stages.synthesis.pictures import moments_file, montage, target_file
from engine.run.stages.synthesis.real_images import share_of_real
from engine.run.stages.synthesis.reuse import CO_TRAINING
from engine.run.stages.synthesis.students import keep_weights, student_for
from engine.run.step_loop import Thinned, drive
from engine.synthesis import discover_methods
from engine.synthesis.base import Request, SynthesisMethod
from engine.synthesis.statistics.batchnorm import Observation, bn_gap

STAGE = "synthesis"
FRAMES = 80  # pictures kept of the whole stage, at least one a batch


def synthesise(context: Context) -> Iterator[Event]:
    """Make the recipe's images; afterwards `load_images` has them. Finished batches are not made again."""
    _check_gradient(context)
    batches = _batches(context)
    total = _steps_before(context, len(batches))
    yield StageStarted(stage=STAGE, total_steps=total, gap_by="channel")
    start, waited = time.monotonic(), context.control.waited_s
    write_atomically(context.folder.snapshot("target.npz"), target_file(context.stored))
    yield SnapshotSaved(stage=STAGE, step=0, name="target", file="target.npz")
    co_trained = bool(context.recipe.synthesis_settings.get(CO_TRAINING))
    for file in damage.unsound_images(context.folder, batches, with_student=co_trained):
        yield damage.quarantined(file)
    for number, size in enumerate(batches):
        if not _batch_file(context, number).exists():
            yield from _one_batch(context, number, size, total)
    images = load_images(context)
    write_atomically(
        context.folder.snapshot(image_statistics.FILE),
        image_statistics.statistics_file(context, images),
    )
    yield SnapshotSaved(
        stage=STAGE, step=total, name="image-statistics", file=image_statistics.FILE
    )
    seconds = time.monotonic() - start - (context.control.waited_s - waited)
    gaps = bn_gap(_observe(context, images), context.stored)
    values = {"bn_gap": sum(gaps) / len(gaps)} if gaps else {}
    yield StageFinished(stage=STAGE, seconds=seconds, values=values)


def _check_gradient(context: Context) -> None:
    """UserError where images would be optimised through a network that gives them no gradient."""
    if context.no_gradient and _method(context).planned_steps(_settings(context), 0) > 0:
        raise UserError(
            f"{context.no_gradient}, so {context.recipe.synthesis!r} cannot make any; take no_grad and "
            "detach out of its forward, or choose --synthesis noise, or real with "
            "--set model.calibration=FOLDER"
        )


def load_images(context: Context) -> Tensor:
    """All images of the run, [n, c, h, w], in the teacher's input space."""
    files = sorted(context.folder.path.glob("images-*.safetensors"))
    return torch.cat([load_file(file)["images"] for file in files])


def _method(context: Context) -> type[SynthesisMethod]:
    return discover_methods()[context.recipe.synthesis]


def _settings(context: Context) -> Any:
    settings = _method(context).Settings
    known = {f.name for f in fields(settings)}
    return settings(**{k: v for k, v in context.recipe.synthesis_settings.items() if k in known})


def _batches(context: Context) -> list[int]:
    """Sizes of the batches; what is left over makes a smaller last one (2 at least: a batch has a std)."""
    images, size = context.recipe.images, int(getattr(_settings(context), "batch", 128))
    if _method(context).at_once:
        return [images]
    sizes = [size] * (images // size) + ([images % size] if images % size else [])
    if len(sizes) > 1 and sizes[-1] == 1:
        sizes[-2:] = [sizes[-2] + 1]
    return sizes


def to_make(context: Context) -> list[int]:
    """Sizes of the batches that are not made yet."""
    return [
        size
        for number, size in enumerate(_batches(context))
        if not _batch_file(context, number).exists()
    ]


def _steps_before(context: Context, number: int) -> int:
    """The steps of all batches before this one; a batch that takes none counts as one step."""
    planned = partial(_method(context).planned_steps, _settings(context))
    return sum(max(planned(earlier), 1) for earlier in range(number))


def _batch_file(context: Context, number: int) -> Path:
    return context.folder.path / f"images-{number:03d}.safetensors"


def _memory_file(context: Context, number: int) -> Path:
    return context.folder.path / f"memory-{number:03d}.pt"


def _one_batch(context: Context, number: int, size: int, total: int) -> Iterator[Event]:
    machine = _method(context)(_request(context, number, size))
    if number == 0:
        yield from (Noted(message=note) for note in machine.notes)
    before = _steps_before(context, number)
    if machine.total_steps:
        yield from _watch(context, machine, number, before, total)
    else:
        machine.latest = _observe(context, machine.images())
        yield _report(context, machine, number, before + 1, {}, {})
        yield from _snapshots(context, machine, before + 1)
    _keep(context, machine, number)
    context.checkpoint.clear()


def _request(context: Context, number: int, size: int) -> Request:
    """What a method is asked for its batch of that number; the one behind the last is not calibrated on."""
    start = sum(_batches(context)[:number])
    real = share_of_real(context, _method(context).card, start, size)
    mean, std = context.normalisation
    works = _method(context).planned_steps(_settings(context), number) > 0
    return Request(
        teacher=context.teacher,
        stored=context.stored,
        settings=_settings(context),
        shape=(size, *context.card.image_shape),
        rng=stream(context.recipe.seed, STAGE, number),
        mean=mean,
        std=std,
        classes=context.classes,
        batch=number,
        offset=start,
        resize=int(context.recipe.model_settings.get("resize") or context.card.resize),
        real=real.images,
        real_labels=real.labels,
        real_notes=real.notes,
        student=student_for(context) if works else None,
        memory=_recall(context, number),
    )


def _recall(context: Context, number: int) -> dict[str, Any]:
    """What the batches before have left to know."""
    file = _memory_file(context, number - 1)
    return torch.load(file, weights_only=True) if file.exists() else {}


def _keep(context: Context, machine: SynthesisMethod, number: int) -> None:
    """Save the batch. The images come last: while they are missing, the batch is made once more."""
    keep_weights(context, machine.student_weights())
    memory = machine.remember()
    if memory:
        buffer = io.BytesIO()
        torch.save(memory, buffer)
        write_atomically(_memory_file(context, number), buffer.getvalue())
    parts = {"images": machine.images(), "labels": machine.labels()}
    tensors = {name: part.cpu().contiguous() for name, part in parts.items() if part is not None}
    write_atomically(_batch_file(context, number), save(tensors))
    _memory_file(context, number - 1).unlink(missing_ok=True)


def _watch(
    context: Context, machine: SynthesisMethod, number: int, before: int, total: int
) -> Iterator[Event]:
    thinned, every = Thinned(), max(1, total // FRAMES)
    clock, first = time.monotonic(), None
    for step, losses in drive(machine, f"{STAGE}/{number}", context.control, context.checkpoint):
        first = step - 1 if first is None else first
        frame = step == 1 or step % every == 0 or step == machine.total_steps
        if frame or thinned.is_due():
            rate = (step - first) / max(time.monotonic() - clock, 1e-9)
            left = total - (before + step)
            speed = {"steps_per_s": rate, "eta_s": left / rate, "memory_mb": memory_mb()}
            values = {name: float(loss) for name, loss in losses.items()}
            yield _report(context, machine, number, before + step, values, speed)
        if frame:
            yield from _snapshots(context, machine, before + step)


def _report(
    context: Context,
    machine: SynthesisMethod,
    number: int,
    step: int,
    losses: dict[str, float],
    speed: dict[str, float],
) -> Stepped:
    seen = machine.latest
    assert seen is not None
    values = dict(speed)
    if context.output.has_classes:
        logits = seen.logits.detach()
        values |= {"confidence": confidence(logits), "class_spread": class_spread(logits)}
    values |= machine.readings()
    gaps = [float(f"{gap:.4g}") for gap in bn_gap(seen, context.stored)]
    return Stepped(
        stage=STAGE,
        part=f"batch {number + 1}",
        step=step,
        losses=losses,
        values=values,
        bn_gap=gaps,
    )


def _snapshots(context: Context, machine: SynthesisMethod, step: int) -> Iterator[SnapshotSaved]:
    picture, layout = montage(machine.images(), context.card.mean, context.card.std)
    name = f"images-{step:06d}.webp"
    context.folder.snapshot(name).write_bytes(picture)
    assert machine.latest is not None
    moments = f"channels-{step:06d}.npz"
    context.folder.snapshot(moments).write_bytes(moments_file(machine.latest))
    yield SnapshotSaved(stage=STAGE, step=step, name="channels", file=moments)
    yield SnapshotSaved(stage=STAGE, step=step, name="images", file=name, values=layout)


@torch.no_grad()
def _observe(context: Context, images: Tensor) -> Observation:
    """What the unpatched teacher sees in (at most the first 256 of) the images."""
    return context.stored.observe(context.teacher, context.for_device(images[:256]))
