"""The first stage: images, one batch after another, each seen growing."""

import time
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from engine.analysis.images import class_spread, confidence
from engine.core.events import Event, SnapshotSaved, StageFinished, StageStarted, Stepped
from engine.core.randomness import stream
from engine.run import portray
from engine.run.context import Context
from engine.run.drive import Thinned, drive
from engine.run.folder import write_atomically
from engine.run.pictures import moments_file, montage, target_file
from engine.run.resources import memory_mb
from engine.synthesis import discover_methods
from engine.synthesis.base import SynthesisMethod
from engine.synthesis.statistics import Observation, bn_gap

STAGE = "synthesis"
FRAMES = 80  # pictures kept of the whole stage, at least one a batch


def synthesise(context: Context) -> Iterator[Event]:
    """Make the recipe's images; afterwards `load_images` has them. Finished batches are not made again."""
    batches = _batches(context)
    steps_each = _steps_each(context)
    total = len(batches) * max(steps_each, 1)
    yield StageStarted(stage=STAGE, total_steps=total)
    start, waited = time.monotonic(), context.control.waited_s
    write_atomically(context.folder.snapshot("target.npz"), target_file(context.stored))
    yield SnapshotSaved(stage=STAGE, step=0, name="target", file="target.npz")
    for number, size in enumerate(batches):
        if not _batch_file(context, number).exists():
            yield from _one_batch(context, number, size, total)
    images = load_images(context)
    write_atomically(context.folder.snapshot(portray.FILE), portray.portrait_file(context, images))
    yield SnapshotSaved(stage=STAGE, step=total, name="portrait", file=portray.FILE)
    seconds = time.monotonic() - start - (context.control.waited_s - waited)
    gaps = bn_gap(_observe(context, images), context.stored)
    values = {"bn_gap": sum(gaps) / len(gaps)} if gaps else {}
    yield StageFinished(stage=STAGE, seconds=seconds, values=values)


def load_images(context: Context) -> Tensor:
    """All images of the run, [n, c, h, w], in the teacher's input space."""
    parts = [load_file(_batch_file(context, k))["images"] for k in range(len(_batches(context)))]
    return torch.cat(parts)


def _method(context: Context) -> type[SynthesisMethod]:
    return discover_methods()[context.recipe.synthesis]


def _settings(context: Context) -> Any:
    settings = _method(context).Settings
    known = {f.name for f in fields(settings)}
    return settings(**{k: v for k, v in context.recipe.synthesis_settings.items() if k in known})


def _batches(context: Context) -> list[int]:
    """Sizes of the batches; what is left over makes a smaller last one (2 at least: a batch has a std)."""
    images, size = context.recipe.images, int(getattr(_settings(context), "batch", 128))
    sizes = [size] * (images // size) + ([images % size] if images % size else [])
    if len(sizes) > 1 and sizes[-1] == 1:
        sizes[-2:] = [sizes[-2] + 1]
    return sizes


def _steps_each(context: Context) -> int:
    return int(getattr(_settings(context), "steps", 0))


def _batch_file(context: Context, number: int) -> Any:
    return context.folder.path / f"images-{number:03d}.safetensors"


def _one_batch(context: Context, number: int, size: int, total: int) -> Iterator[Event]:
    start_image = sum(_batches(context)[:number])
    real = (
        context.real_images(context.recipe.images)
        if "real-images" in _method(context).card.needs
        else None
    )
    machine = _method(context)(
        context.teacher,
        context.stored,
        _settings(context),
        shape=(size, *context.card.image_shape),
        rng=stream(context.recipe.seed, STAGE, number),
        real=None if real is None else real[start_image : start_image + size],
    )
    before = number * max(_steps_each(context), 1)
    if machine.total_steps:
        yield from _watch(context, machine, number, before, total)
    else:
        machine.latest = _observe(context, machine.images())
        yield _report(context, machine, number, before + 1, {}, {})
        yield from _snapshots(context, machine, before + 1)
    write_atomically(
        _batch_file(context, number), save({"images": machine.images().cpu().contiguous()})
    )
    context.checkpoint.clear()


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
    logits = seen.logits.detach()
    values = {"confidence": confidence(logits), "class_spread": class_spread(logits), **speed}
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
