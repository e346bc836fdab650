"""Which classes a batch of images is to show: int64 [images], on the CPU."""

from collections.abc import Callable

import torch
from torch import Tensor

LabelPolicy = Callable[[int, int, torch.Generator], Tensor]  # images, classes, rng -> labels


def uniform(count: int, classes: int, rng: torch.Generator) -> Tensor:
    """Each image's class by itself, all equally likely."""
    return torch.randint(classes, (count,), generator=rng)


def balanced(count: int, classes: int, rng: torch.Generator) -> Tensor:
    """Every class as often as any other (or once more), which ones and in what order by chance."""
    turns = [torch.randperm(classes, generator=rng) for _ in range(-(-count // classes))]
    none = torch.empty(0, dtype=torch.int64)  # of no images there are no turns
    return torch.cat([none, *turns])[:count]


def one_class(count: int, classes: int, rng: torch.Generator) -> Tensor:
    """One class for the whole batch, by chance (FDDA)."""
    return torch.randint(classes, (1,), generator=rng).expand(count).clone()


POLICIES: dict[str, LabelPolicy] = {
    "uniform": uniform,
    "balanced": balanced,
    "one-class": one_class,
}
