"""The portrait of a run's images, taken once they are made: `portrait.npz` among its snapshots."""

import io

import numpy as np
import torch
from torch import Tensor

from engine.analysis.portrait import portrait
from engine.core.trace import watch_inputs
from engine.run.context import Context

FILE = "portrait.npz"
MOST_IMAGES = 256
CHUNK = 32  # images that pass through the teacher together


@torch.no_grad()
def portrait_file(context: Context, images: Tensor) -> bytes:
    """The portrait of (at most the first 256 of) the images, as npz."""
    images = images[:MOST_IMAGES]
    head = list(context.plan)[-1]
    layers = context.stored.paths
    seen: dict[str, Tensor] = {}  # by layer, in the chunk at work
    chunks: list[dict[str, Tensor]] = []
    logits: list[Tensor] = []

    def listen(path: str, x: Tensor) -> None:
        seen[path] = _flat(x)

    with watch_inputs(context.teacher, [*layers, head], listen):
        for part in images.split(CHUNK):
            logits.append(context.teacher(context.for_device(part)))
            chunks.append(dict(seen))
    arrays = portrait(
        images,
        torch.cat(logits),
        torch.cat([chunk[head] for chunk in chunks]),
        [torch.cat([chunk[path] for chunk in chunks]) for path in layers],
        [(moments.mean, moments.std) for moments in context.stored.moments],
        classifier=context.card.classifier,
    )
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def _flat(x: Tensor) -> Tensor:
    """[n, channels]: maps averaged over height and width, vectors as they are."""
    return x.mean((2, 3)) if x.dim() == 4 else x.flatten(1)
