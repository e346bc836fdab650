"""The statistics of a run's images, taken once they are made: `image-statistics.npz` among its snapshots."""

import io

import numpy as np
import torch
from torch import Tensor

from engine.analysis.images.image_statistics import image_statistics
from engine.core.trace import watch_inputs
from engine.run.context import Context

FILE = "image-statistics.npz"
MOST_IMAGES = 256
CHUNK = 32  # images that pass through the teacher together
Moments = tuple[Tensor, Tensor]  # (mean, std) of every image by itself, each [n, channels]


@torch.no_grad()
def statistics_file(context: Context, images: Tensor) -> bytes:
    """The statistics of (at most the first 256 of) the images, as npz."""
    images = images[:MOST_IMAGES]
    head = list(context.plan)[-1]
    layers = context.stored.paths
    seen: dict[str, list[Moments]] = {}  # by layer, of its calls in the chunk at work
    chunks: list[dict[str, Moments]] = []
    logits: list[Tensor] = []

    def listen(path: str, x: Tensor) -> None:
        seen.setdefault(path, []).append(_per_image(x))

    with watch_inputs(context.teacher, [*layers, head], listen):
        for part in images.split(CHUNK):
            seen.clear()
            logits.append(context.teacher(context.for_device(part)))
            chunks.append({path: _averaged(calls) for path, calls in seen.items()})
    arrays = image_statistics(
        images,
        torch.cat(logits),
        _joined(chunks, head)[0],
        [_joined(chunks, path) for path in layers],
        [(moments.mean, moments.std) for moments in context.stored.moments],
        classifier=context.output.has_classes,
    )
    if "classes" in arrays and context.card.classes:
        # A catalog does not name a thousand classes: those that are seen are named here.
        named = dict(enumerate(context.card.classes))
        present = np.unique(arrays["classes"]).tolist()
        arrays["class_names"] = np.array([named.get(c, f"class {c}") for c in present])
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def _per_image(x: Tensor) -> Moments:
    """(mean, std), each [n, channels], over height and width; of vectors: themselves, and no deviation."""
    if x.dim() != 4:
        return x.flatten(1), torch.zeros_like(x.flatten(1))
    std, mean = torch.std_mean(x, (2, 3), correction=0)
    return mean, std


def _averaged(calls: list[Moments]) -> Moments:
    """Over all calls of a layer, as it stored them."""
    if len(calls) == 1 or len({len(mean) for mean, _ in calls}) > 1:
        return calls[-1]
    means, stds = (torch.stack(parts) for parts in zip(*calls, strict=True))
    return means.mean(0), stds.square().mean(0).sqrt()


def _joined(chunks: list[dict[str, Moments]], path: str) -> Moments:
    mean, std = zip(*(chunk[path] for chunk in chunks), strict=True)
    return torch.cat(mean), torch.cat(std)
