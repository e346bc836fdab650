"""Looks inside quantizers at work: small arrays for pictures, taken without changing anything."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from engine.core.method import View
from engine.core.sampling.samples import sampled
from engine.quantization.grids.quantizers import WeightQuantizer

BINS = 24  # of a histogram
DECIDED = 0.01  # as near to 0 or 1 as this, a soft rounding has made up its mind
MOST_POINTS = 96  # of a path
MOST_COLUMNS = 48  # of one output channel, those lately taken and those to come
MOST_LEVELS = 32
MOST_CHANNELS = 5  # whose border is drawn
_MOST_VALUES = 2**17  # of a quantizer, for a histogram


@torch.no_grad()
def soft_rounding_view(what: str, quantizers: Sequence[WeightQuantizer]) -> View:
    """The share of weights at each soft rounding h(V), from down (0) to up (1), and that of the decided."""
    found = [sampled(q.soft_rounding(), _MOST_VALUES) for q in quantizers]
    h = torch.cat(found).float()
    counts = torch.histc(h, BINS, 0, 1)
    decided = (h <= DECIDED) | (h >= 1 - DECIDED)
    return View(
        form="soft-rounding",
        what=what,
        arrays={"centres": (torch.arange(BINS) + 0.5) / BINS, "shares": counts / len(h)},
        values={"decided": float(decided.float().mean()), "up": float((h >= 0.5).float().mean())},
    )


@torch.no_grad()
def border_view(what: str, quantizer: Any) -> View:
    """Learned borders against the value (a share of the range): lowest, middle, highest, some channels."""
    low = -1.0 if quantizer.low < 0 else 0.0
    share = torch.linspace(low, 1, 15, device=quantizer.border.device)
    b0, b1, b2 = (b[:, None] for b in quantizer.border)
    curves = torch.sigmoid(b0 + share * (b1 + share * b2))  # [channels, values]
    arrays = {"value": share, "lowest": curves.amin(0), "highest": curves.amax(0)}
    arrays["middle"] = curves.median(0).values
    every = max(1, -(-len(curves) // MOST_CHANNELS))
    arrays |= {f"sample {k}": curve for k, curve in enumerate(curves[::every])}
    away = float((curves - 0.5).abs().amax()) if curves.numel() else 0.0
    return View(form="borders", what=what, arrays=arrays, values={"farthest": away})


def channel_arrays(rounding: Any) -> dict[str, Tensor]:
    """Output channel 0: its weights around the column at work, and the values taken so far."""
    first = max(0, min(rounding.at - MOST_COLUMNS * 3 // 4, rounding.width - MOST_COLUMNS))
    places = torch.arange(first, min(first + MOST_COLUMNS, rounding.width))
    columns = rounding.order[places.to(rounding.order.device)]
    weight = rounding.problem.weight[0, 0, columns].cpu()
    levels = rounding.levels[0, 0].cpu()
    taken = levels[rounding.codes[0, 0, columns].long().cpu()]
    taken = torch.where(places < rounding.at, taken, torch.nan)
    arrays = {"column": places.float(), "weight": weight, "taken": taken}
    return arrays | ({"levels": levels} if len(levels) <= MOST_LEVELS else {})


def path_view(what: str, rounding: Any) -> View:
    """The error of a layer over its columns, beside that of nearest rounding; one channel's codes."""
    table = torch.tensor(
        rounding.path, dtype=torch.float64
    )  # column, error, that of nearest rounding
    points = thinned(table, MOST_POINTS, last=True)
    arrays = {"at": points[:, 0], "error": points[:, 1], "nearest": points[:, 2]}
    values = {"error": float(table[-1, 1]), "nearest": float(table[-1, 2])}
    return View(form="path", what=what, arrays=arrays | channel_arrays(rounding), values=values)


def levels_view(what: str, turn: int, values: Tensor, levels: Tensor, basis: Tensor) -> View:
    """One channel's values as a histogram, and where its levels [L] lie after so many turns."""
    low = min(float(values.min()), float(levels.min()))
    high = max(float(values.max()), float(levels.max()))
    counts = torch.histc(values.float(), BINS * 2, low, high)
    width = (high - low) / (BINS * 2)
    near = levels[torch.bucketize(values, (levels[1:] + levels[:-1]) / 2)]
    return View(
        form="levels",
        what=what,
        arrays={
            "centres": low + (torch.arange(BINS * 2) + 0.5) * width,
            "shares": counts / len(values),
            "levels": thinned(levels, MOST_LEVELS),
            "basis": basis,
        },
        values={"turn": float(turn), "mse": float((values - near).square().mean())},
    )


def thinned(values: Tensor, most: int, *, last: bool = False) -> Tensor:
    """At most so many rows, evenly strided; the last one among them where asked for."""
    every = max(1, -(-len(values) // most))
    kept = values[::every]
    return torch.cat([kept[:-1], values[-1:]]) if last and every > 1 else kept
