"""A quantizer's machine at work, as events: its losses, its speed, what it shows of itself."""

import io
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from engine.core.events import Event, SnapshotSaved, Stepped
from engine.run.context import Context
from engine.run.folders.folder import write_atomically
from engine.run.machine.resources import memory_mb
from engine.run.stages.quantization.views import STAGE, Looks, viewed_event
from engine.run.step_loop import Thinned, drive


def save_path(context: Context, machine: Any, index: int, step: int) -> SnapshotSaved:
    """The error column by column, for a machine that keeps it."""
    name = f"path-{index:03d}.npz"
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{key: part.numpy() for key, part in machine.path().items()})
    write_atomically(context.folder.snapshot(name), buffer.getvalue())
    values = {"block": float(index)}
    return SnapshotSaved(stage=STAGE, step=step, name="path", file=name, values=values)


def watch(context: Context, machine: Any, part: str, before: int, total: int) -> Iterator[Event]:
    """Take all of the machine's steps; `before` of the stage's `total` were taken by others."""
    thinned, looks = Thinned(), Looks(machine)
    clock, first = time.monotonic(), None
    for step, losses in drive(machine, f"{STAGE}/{part}", context.control, context.checkpoint):
        first = step - 1 if first is None else first
        if step in (1, machine.total_steps) or thinned.is_due():
            rate = (step - first) / max(time.monotonic() - clock, 1e-9)
            values = {
                **({"flipped": machine.flipped()} if hasattr(machine, "flipped") else {}),
                "steps_per_s": rate,
                "eta_s": (total - before - step) / rate,
                "memory_mb": memory_mb(),
                **(machine.values() if hasattr(machine, "values") else {}),
            }
            named = {name: float(loss) for name, loss in losses.items()}
            yield Stepped(stage=STAGE, part=part, step=before + step, losses=named, values=values)
        for view in looks.after(step):
            yield viewed_event(view, part, before + step)
