"""What there is to see of weights being fixed: those still free, and the values that hold the others."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from engine.core.method import View

BINS = 48
MOST_VALUES = 110  # that are drawn of all rounds together, of each those of most weights
MOST_NOW = 32  # of the last round
DRAWN = 0.995  # of all weights: a few of the first layer reach ten times as far as the others


@torch.no_grad()
def fixing_view(free: Tensor, course: Sequence[dict[str, Any]]) -> View:
    """The cloud now, and round by round which values hold how many weights; shares are of all weights.

    `course`: of each round its share of fixed weights, the entropy of those in bits, the values and what
    share of all weights each holds.
    """
    now = course[-1]
    fixed = float(now["held"].sum())
    largest = _reach(free, now["values"], now["held"])
    counts = torch.histc(free.float(), BINS, -largest, largest).cpu()
    if free.numel():
        counts = counts / free.numel() * (1 - fixed)
    rounds, values = [], []
    for turn, one in enumerate(course, 1):
        most = one["held"].argsort(descending=True)[: max(1, MOST_VALUES // len(course))]
        most = most[one["values"][most].abs() <= largest]
        rounds.append(torch.full((len(most),), float(turn)))
        values.append(one["values"][most].float())
    most = now["held"].argsort(descending=True)[:MOST_NOW].sort().values
    most = most[now["values"][most].abs() <= largest]
    arrays = {
        "centres": (torch.arange(BINS) + 0.5) / BINS * 2 * largest - largest, "free": counts,
        "now": now["values"][most].float(), "held": now["held"][most],
        "round": torch.cat(rounds), "value": torch.cat(values),
    }  # fmt: skip
    told = {
        "round": float(len(course)), "fixed": fixed, "unique": float(len(now["values"])),
        "entropy": now["entropy"],
    }  # fmt: skip
    return View(form="fixing", what="all weights", arrays=arrays, values=told)


def _reach(free: Tensor, values: Tensor, held: Tensor) -> float:
    """As far from 0 as DRAWN of all weights lie, free ones and those that a value holds."""
    left = max(1 - float(held.sum()), 0.0) / max(free.numel(), 1)
    sizes = torch.cat([free.detach().abs().cpu().flatten().float(), values.abs().cpu().float()])
    shares = torch.cat([torch.full((free.numel(),), left), held.cpu().float()])
    order = sizes.argsort()
    within = shares[order].double().cumsum(0)
    place = int(torch.searchsorted(within, DRAWN * float(within[-1])).clamp(max=len(order) - 1))
    return max(float(sizes[order][place]), 1e-12)
