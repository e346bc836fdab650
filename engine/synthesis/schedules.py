"""Learning rates over time, all with one interface, and an optimiser together with its schedule."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    ExponentialLR,
    LambdaLR,
    LRScheduler,
    MultiStepLR,
    ReduceLROnPlateau,
)


class Schedule(Protocol):
    """Told after every step what was minimised, and how many steps are done."""

    def after_step(self, total: Tensor, steps_done: int) -> None: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Plateau:
    """A tenth of the rate when the sum of the losses has not fallen for `patience` steps."""

    def __init__(self, optimizer: Optimizer, *, patience: int = 100, least: float = 1e-4) -> None:
        self._scheduler = ReduceLROnPlateau(optimizer, factor=0.1, patience=patience, min_lr=least)

    def after_step(self, total: Tensor, steps_done: int) -> None:
        self._scheduler.step(total)

    def state_dict(self) -> dict[str, Any]:
        return _plain(self._scheduler.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._scheduler.load_state_dict(state)


class Fixed:
    """A rate that depends on the number of steps alone; `every` steps are one of the scheduler's."""

    def __init__(self, scheduler: LRScheduler, *, every: int = 1) -> None:
        self._scheduler, self._every = scheduler, every

    def after_step(self, total: Tensor, steps_done: int) -> None:
        if steps_done % self._every == 0:
            self._scheduler.step()

    def state_dict(self) -> dict[str, Any]:
        return _plain(self._scheduler.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._scheduler.load_state_dict(state)


def exponential(optimizer: Optimizer, *, factor: float, every: int = 1) -> Fixed:
    """`factor` times the rate, again after every so many steps."""
    return Fixed(ExponentialLR(optimizer, gamma=factor), every=every)


def multistep(optimizer: Optimizer, *, at: Sequence[int], factor: float = 0.1) -> Fixed:
    """`factor` times the rate after each of these numbers of steps."""
    return Fixed(MultiStepLR(optimizer, list(at), gamma=factor))


def cosine(optimizer: Optimizer, *, total: int, warm_up: int = 0) -> Fixed:
    """A linear rise over the first `warm_up` steps, then half a cosine down to 0 at the last."""

    def share(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(total - warm_up, 1)))

    return Fixed(LambdaLR(optimizer, share))


@dataclass(slots=True)
class Optimiser:
    """A torch optimiser and the schedule of its rate, saved and restored as one."""

    optimizer: Optimizer
    schedule: Schedule | None = None

    def step(self, total: Tensor, steps_done: int) -> None:
        """The update by the gradients that are there; `steps_done` counts this one."""
        self.optimizer.step()
        if self.schedule is not None:
            self.schedule.after_step(total, steps_done)

    def state_dict(self) -> dict[str, Any]:
        schedule = {} if self.schedule is None else self.schedule.state_dict()
        return {"optimizer": self.optimizer.state_dict(), "schedule": schedule}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        if self.schedule is not None:
            self.schedule.load_state_dict(state["schedule"])


def adam(
    parameters: Iterable[Tensor],
    rate: float,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
) -> Optimizer:
    """Adam, fused: a large generator's parameters are most of a step's traffic in memory."""
    return torch.optim.Adam(parameters, lr=rate, betas=betas, fused=True)


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    """A scheduler's state without functions, its tensors as numbers, so that it loads as data only."""
    return {
        key: value.item() if isinstance(value, Tensor) else value
        for key, value in state.items()
        if not callable(value)
    }
