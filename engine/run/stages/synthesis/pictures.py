"""Snapshots as files: a montage of the images (WebP), and per-channel statistics (npz)."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from engine.synthesis.statistics.batchnorm import Observation, StoredStatistics
from engine.synthesis.statistics.moments import Moments

MOST_SHOWN = 32
COLUMNS = 8
LARGEST_TILE = (
    112  # pixels; larger images are shrunk, so that a film of a hundred frames stays light
)


def montage(
    images: Tensor,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    most: int = MOST_SHOWN,
    columns: int = COLUMNS,
) -> tuple[bytes, dict[str, float]]:
    """The first (`most`) images side by side as WebP (lossless where they are small), and their layout.

    Images live in the network's normalised space, where they may leave the range of pixels. They are
    shown with the network's own mean and std, clipped to what a screen can show.
    """
    shown = images[:most].detach().float().cpu()
    scale, offset = torch.tensor(std)[:, None, None], torch.tensor(mean)[:, None, None]
    pixels = ((shown * scale + offset).clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    count, channels, height, width = pixels.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    sheet = np.zeros((rows * height, columns * width, channels), np.uint8)
    for k in range(count):
        y, x = k // columns * height, k % columns * width
        sheet[y : y + height, x : x + width] = pixels[k].transpose(1, 2, 0)
    picture = Image.fromarray(sheet.squeeze(-1) if channels == 1 else sheet[..., :3])
    tile = min(height, LARGEST_TILE)
    if tile < height:
        picture = picture.resize((columns * tile, rows * tile), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", lossless=height <= 64, quality=82, method=2)
    return buffer.getvalue(), {"columns": columns, "rows": rows, "tile": tile, "count": count}


def moments_file(seen: Observation) -> bytes:
    """The mean and std of every channel of every BatchNorm layer, one layer after another, as npz."""
    return _npz(seen.moments)


def target_file(stored: StoredStatistics) -> bytes:
    """The same of the teacher's stored statistics, with `offsets` (layers + 1) to tell layers apart.

    `unit` is what each channel's gap counts in, see engine.synthesis.statistics.batchnorm.
    """
    sizes = [len(m.mean) for m in stored.moments]
    units = torch.cat(stored.units).float().cpu().numpy() if stored.units else np.zeros(0)
    offsets = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    return _npz(stored.moments, offsets=offsets, unit=units)


def _npz(moments: Sequence[Moments], **more: Any) -> bytes:
    buffer = io.BytesIO()
    arrays: dict[str, Any] = dict(more)
    for name in ("mean", "std"):
        parts = [getattr(m, name).detach().float().cpu().numpy() for m in moments]
        arrays[name] = np.concatenate(parts or [np.zeros(0)]).astype(np.float32)
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()
