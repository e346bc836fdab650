"""What the teacher takes every tile of a film for, frame by frame, and real images beside them.

Of the tiles as the film shows them: eight bits a pixel, clipped to black and white.
"""

import io
import json
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from engine.core import device as devices
from engine.core.errors import UserError
from engine.core.events import SnapshotSaved
from engine.run.context import Context, make_context
from engine.run.folders.control import Control
from engine.run.folders.folder import RunFolder, write_atomically
from engine.run.stages.synthesis.pictures import COLUMNS, montage


def film_answers(folder: RunFolder, out: Path) -> dict[str, Any]:
    """{"run", "classes", "frames", "real"}: classes, and the softmax's share of each in percent.

    `frames` has {"file", "answers", "confidence"} of each frame of the film. `real`: a class's first image
    of those that the network was trained on, class after class, which lie beside `out` as one picture.
    UserError where the film's tiles are smaller than the network's images, or there are no real ones.
    """
    control = Control(folder.path, lambda _state: None)
    context = make_context(folder.recipe, folder, control, devices.choose())
    frames = []
    for _, event in folder.events():
        if isinstance(event, SnapshotSaved) and event.name == "images":
            tiles = _tiles(folder.snapshot(event.file), event.values, context)
            frames.append({"file": event.file, **_said(context.teacher, tiles)})
    real, labels = _one_of_each(context)
    mean, std = context.normalisation
    picture, layout = montage(real, mean, std, columns=COLUMNS + len(real))
    result = {
        "command": "python -m engine bench film-answers",
        "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "run": folder.run_id,
        "classes": list(context.card.classes),
        "frames": frames,
        "real": {"labels": labels, "layout": layout, **_said(context.teacher, real)},
    }
    write_atomically(out.with_suffix(".webp"), picture)
    write_atomically(out, (json.dumps(result) + "\n").encode())
    return result


@torch.no_grad()
def _said(teacher: nn.Module, x: Tensor) -> dict[str, list[int]]:
    shares, answers = teacher(x).softmax(1).max(1)
    return {"answers": answers.tolist(), "confidence": (100 * shares).round().int().tolist()}


def _tiles(file: Path, layout: dict[str, float], context: Context) -> Tensor:
    """A frame's images as the teacher reads them, [n, channels, height, width]."""
    channels, height, width = context.card.image_shape
    tile, columns, count = (int(layout[name]) for name in ("tile", "columns", "count"))
    if not tile == height == width:
        raise UserError(
            f"{file.name} has tiles of {tile} pixels, and the network reads {height}: choose a run of a "
            "network with small images"
        )
    with Image.open(io.BytesIO(file.read_bytes())) as picture:
        pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"), np.float32) / 255
    sheet = torch.from_numpy(pixels).reshape(*pixels.shape[:2], channels).permute(2, 0, 1)
    places = [(k // columns * tile, k % columns * tile) for k in range(count)]
    tiles = torch.stack([sheet[:, y : y + tile, x : x + tile] for y, x in places])
    mean, std = (torch.tensor(part).view(-1, 1, 1) for part in context.normalisation)
    return context.for_device((tiles - mean) / std)


def _one_of_each(context: Context) -> tuple[Tensor, list[int]]:
    """The first real image of each class that the network was trained on, in the order of its classes."""
    images = context.real_images()
    if images is None or images.labels is None:
        raise UserError(
            f"network {context.recipe.model!r} has no labelled images to compare with; choose one that has"
        )
    first = [int((images.labels == label).nonzero()[0]) for label in images.labels.unique()]
    return images.at(first), [int(images.labels[place]) for place in first]
