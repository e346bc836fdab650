"""Feature maps of one layer in both networks, and their difference, small enough to keep. Imports torch."""

import base64
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from engine.analysis.layers.tensors import as_maps, tones
from engine.run.questions.why.opened import Opened
from engine.run.questions.why.through import pictures

KEPT, WORST = 8, 4  # images, and how many of them are those with the largest error
SIDE = 32  # pixels of a map: larger ones are averaged


def feature_maps(
    run: Opened, x: Tensor, wanted: Tensor, given: Tensor, *, channels: Sequence[int], axis: int
) -> dict[str, Any] | None:
    """What the layer makes of some images x, those with the largest error first; None without a plane.

    wanted, given: its output in the float network and in the student. `data`: tones 0 .. 255 of the scales
    in `low`, `high` and `largest_difference`, one a channel, as base64 of [images, channels, 3, h, w].
    """
    error = (given - wanted).flatten(1).square().sum(1)
    share = (error / wanted.flatten(1).square().sum(1).clamp_min(1e-30)).sqrt()
    worst = share.argsort(descending=True)[:WORST].tolist()
    others = [k for k in range(len(share)) if k not in worst][: KEPT - WORST]
    places = [*worst, *others]
    floats, quantized = (as_maps(part[places], axis, SIDE) for part in (wanted, given))
    if floats is None or quantized is None or run.images[0].dim() != 3:
        return None
    floats, quantized = floats[:, channels], quantized[:, channels]
    both, (difference,) = tones([floats, quantized]), tones([quantized - floats], about_zero=True)
    drawn = torch.stack([both[0].tones, both[1].tones, difference.tones], 2)
    return {
        "images": places,
        "errors": [float(f"{one:.5g}") for one in share[places].tolist()],
        "usual_error": float(share.median()),
        "pictures": pictures(x[places], *run.context.normalisation),
        "channels": list(channels),
        "low": both[0].low, "high": both[0].high, "largest_difference": difference.high,
        "shape": list(drawn.shape),
        "averaged_from": None if wanted.shape[2:] == floats.shape[2:] or axis < 0 else list(wanted.shape[2:]),
        "data": base64.b64encode(drawn.numpy().tobytes()).decode(),
    }  # fmt: skip
