"""What there is to see of weights being fixed: those still free, and the values that hold the others."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from engine.core.method import View

BINS = 48
MOST_VALUES = 16  # of a round that are drawn, those of most weights


@torch.no_grad()
def fixing_view(free: Tensor, course: Sequence[dict[str, Any]]) -> View:
    """The cloud now, and round by round which values hold how many weights; shares are of all weights.

    `course`: of each round its share of fixed weights, the entropy of those in bits, the values and what
    share of all weights each holds.
    """
    now = course[-1]
    largest = max(
        [float(v.abs().max()) for v in (free, *(one["values"] for one in course)) if v.numel()]
    )
    total = free.numel() / max(1 - float(now["held"].sum()), 1e-12) if free.numel() else 1.0
    counts = torch.histc(free.float(), BINS, -largest, largest)
    centres = (torch.arange(BINS) + 0.5) / BINS * 2 * largest - largest
    rounds, values, held = [], [], []
    for turn, one in enumerate(course, 1):
        most = one["held"].argsort(descending=True)[:MOST_VALUES]
        rounds.append(torch.full((len(most),), float(turn)))
        values.append(one["values"][most].float())
        held.append(one["held"][most])
    arrays = {
        "centres": centres, "free": counts.cpu() / total,
        "rounds": torch.cat(rounds), "values": torch.cat(values), "held": torch.cat(held),
        "round": torch.arange(1, len(course) + 1),
        "unique": torch.tensor([float(len(one["values"])) for one in course]),
        "entropy": torch.tensor([one["entropy"] for one in course]),
    }  # fmt: skip
    told = {
        "round": float(len(course)), "fixed": float(now["held"].sum()),
        "unique": float(len(now["values"])), "entropy": now["entropy"],
    }  # fmt: skip
    return View(form="fixing", what="all weights", arrays=arrays, values=told)
