"""Images to judge with where there are no test images: made like the others, and not calibrated on.

One more small batch of the recipe's own method, with random numbers of its own, made when the student is
done: so nothing before it depends on whether there are test images.
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from engine.core.errors import UserError
from engine.core.events import Event, Stepped
from engine.run.context import Context
from engine.run.folders.folder import write_atomically
from engine.run.stages.synthesis.reuse import OTHERS
from engine.run.stages.synthesis.synthesise import (
    _batches,
    _memory_file,
    _method,
    _request,
    _settings,
)
from engine.run.step_loop import Thinned, drive

STAGE = "evaluation"
MOST = 32


def planned_steps(context: Context) -> int:
    """How many steps it takes to make them; 0 where there are test images, or they are there already."""
    if context.test is not None or _file(context).exists():
        return 0
    return _method(context).planned_steps(_settings(context), len(_batches(context)))


def how_many(context: Context) -> int:
    """As many as there are; before they are made, as many as are asked for."""
    images = load_others(context)
    if images is not None:
        return len(images)
    return min(MOST, _batches(context)[0], max(2, context.recipe.images // 2))


def make_others(context: Context) -> Iterator[Event]:
    """Make them, unless there are test images; nothing is written where their source has no more."""
    if context.test is not None or _file(context).exists():
        return
    sizes, size = _batches(context), how_many(context)
    first = _method(context).planned_steps(_settings(context), 0)
    if first and not planned_steps(context) and not _memory_file(context, len(sizes) - 1).exists():
        return  # what was learned for the first batch is not here any more
    try:
        machine = _method(context)(_request(context, len(sizes), size))
    except UserError:
        if planned_steps(context):
            raise
        return  # a folder or a program of the user's that has no more images
    thinned = Thinned(4)
    for step, losses in drive(machine, f"{STAGE}/others", context.control, context.checkpoint):
        if thinned.is_due() or step == machine.total_steps:
            values = {name: float(loss) for name, loss in losses.items()}
            yield Stepped(stage=STAGE, part="other images", step=step, losses=values)
    images = machine.images().cpu().contiguous()
    write_atomically(_file(context), save({"images": images}))
    context.checkpoint.clear()


@torch.no_grad()
def load_others(context: Context) -> Tensor | None:
    """The images [n, c, h, w], in the teacher's input space; None where none could be made."""
    file = _file(context)
    return load_file(file)["images"] if file.exists() else None


def set_name(context: Context) -> str:
    """What they are called in the result."""
    real = context.recipe.synthesis == "real"
    kind = "real images" if real else f"images made by {context.recipe.synthesis}"
    return f"other {kind}, not calibrated on"


def _file(context: Context) -> Path:
    return context.folder.path / OTHERS
