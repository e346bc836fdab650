"""How an image's error grows through the layers, against what is usual. Imports torch."""

import base64
import io
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from engine.core.trace import watch_outputs
from engine.run.questions.why.opened import Opened, Tell, tell_nobody
from engine.run.questions.why.passes import at_once

FOLLOWED = 100  # changed images that are followed through the layers: those the float network was surest of
USUAL = 100  # of the first test images, changed or not, that say what is usual
SIDE = 96  # pixels of a picture: larger images are shrunk, small ones enlarged pixel by pixel


def error_growth(run: Opened, changed: Sequence[int], tell: Tell = tell_nobody) -> dict[str, Any]:
    """{"layers": [PATH, ..], "usual": {"mean", "low", "high"}, "images": {PLACE: [share, ..]}}.

    A share is the size of the error of a layer's output over the size of the float network's output, for that
    image alone: ‖ŷ − y‖ / ‖y‖, with the errors of all layers before it. `usual` is that of the first USUAL
    test images: the mean, and where 90 % of them lie. The images are the first FOLLOWED of `changed`.
    """
    paths, chosen = list(run.plan), list(changed[:FOLLOWED])
    tell(0, 2, "the first test images through the layers of both networks")
    usual = shares_by_image(run, run.test[:USUAL], paths)
    tell(1, 2, "changed images through the layers of both networks")
    found = shares_by_image(run, run.test[chosen], paths) if chosen else np.zeros((0, len(paths)))
    low, high = np.quantile(usual, [0.05, 0.95], axis=0)
    return {
        "layers": paths,
        "usual": {"mean": _plain(usual.mean(0)), "low": _plain(low), "high": _plain(high)},
        "images": {str(k): _plain(row) for k, row in zip(chosen, found, strict=True)},
    }


@torch.no_grad()
def shares_by_image(run: Opened, x: Tensor, paths: Sequence[str]) -> np.ndarray:
    """[images, layers]: each image's own error share at each layer, all calls of a layer together.

    0 where the float network gives nothing but zeros.
    """
    rows = []
    for part in x.split(at_once(x)):
        chunk = run.context.for_device(part)
        wanted, given = (_outputs(net, chunk, paths) for net in (run.teacher, run.student))
        columns = []
        for path in paths:
            pairs = list(zip(given[path], wanted[path], strict=True))
            error = torch.stack([_energy(a.double() - b) for a, b in pairs]).sum(0)
            signal = torch.stack([_energy(b.double()) for _, b in pairs]).sum(0)
            columns.append(torch.where(signal > 0, error / signal.clamp_min(1e-300), 0.0).sqrt())
        rows.append(torch.stack(columns, 1).cpu())
    return torch.cat(rows).numpy()


def pictures(x: Tensor, mean: Sequence[float], std: Sequence[float]) -> list[str]:
    """Each image as the address of a WebP that needs no request, as a person would see it."""
    scale, offset = torch.tensor(std)[:, None, None], torch.tensor(mean)[:, None, None]
    pixels = ((x.float().cpu() * scale + offset).clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    return [_address(one.transpose(1, 2, 0)) for one in pixels]


def _address(pixels: np.ndarray) -> str:
    height, width, channels = pixels.shape
    picture = Image.fromarray(pixels[..., 0] if channels < 3 else pixels[..., :3])
    times = SIDE / max(height, width)
    whole = max(1, int(times)) if times >= 1 else times
    how = Image.Resampling.NEAREST if times >= 1 else Image.Resampling.LANCZOS
    picture = picture.resize((max(1, round(width * whole)), max(1, round(height * whole))), how)
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", lossless=times >= 1, quality=80)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _outputs(model: nn.Module, x: Tensor, paths: Sequence[str]) -> dict[str, list[Tensor]]:
    found: dict[str, list[Tensor]] = defaultdict(list)
    with watch_outputs(model, paths, lambda path, y: found[path].append(y.clone())):
        model(x)
    return found


def _energy(y: Tensor) -> Tensor:
    """⟨y, y⟩ of each image of a batch."""
    return y.flatten(1).square().sum(1)


def _plain(row: np.ndarray) -> list[float]:
    return [float(f"{value:.4g}") for value in row]
