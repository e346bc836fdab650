"""Learning rates over time, all with one interface, and an optimiser together with its schedule.

What is restored goes on at the rates that are asked for now: where they are the saved ones, to the last
bit; where a fork has changed them, as if they had been these from the start.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    ExponentialLR,
    LambdaLR,
    LRScheduler,
    MultiStepLR,
    ReduceLROnPlateau,
)

from engine.core.optimisers import Adam

_PLAN = ("base_lrs", "milestones")  # what a scheduler saves of its plan, beside where it is
_WHERE = ("params", "lr", "initial_lr")  # what an optimiser's group holds beside its plan


class Schedule(Protocol):
    """Told after every step what was minimised, and how many steps are done."""

    def after_step(self, total: Tensor, steps_done: int) -> None: ...
    def start_afresh(self) -> None: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Plateau:
    """A tenth of the rate when the sum of the losses has not fallen for `patience` steps."""

    def __init__(self, optimizer: Optimizer, *, patience: int = 100, least: float = 1e-4) -> None:
        self._scheduler = ReduceLROnPlateau(optimizer, factor=0.1, patience=patience, min_lr=least)

    def after_step(self, total: Tensor, steps_done: int) -> None:
        self._scheduler.step(total)

    def start_afresh(self) -> None:
        """Another sum is minimised from here on: what the old one fell to says nothing of it."""
        self._scheduler.best, self._scheduler.num_bad_epochs = math.inf, 0

    def state_dict(self) -> dict[str, Any]:
        return _plain(self._scheduler.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._scheduler.load_state_dict(state)


class Fixed:
    """A rate that depends on the number of steps alone; `every` steps are one of the scheduler's.

    `share` says the same as the scheduler, of any number of its steps: the share of the initial rate.
    """

    def __init__(
        self, scheduler: LRScheduler, share: Callable[[int], float], *, every: int = 1
    ) -> None:
        self._scheduler, self._share, self._every = scheduler, share, every

    def after_step(self, total: Tensor, steps_done: int) -> None:
        if steps_done % self._every == 0:
            self._scheduler.step()

    def start_afresh(self) -> None:
        """Nothing: no loss is looked at."""

    def state_dict(self) -> dict[str, Any]:
        return _plain(self._scheduler.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Back to as many steps, of the plan that is followed now."""
        scheduler = self._scheduler
        scheduler.load_state_dict({key: state[key] for key in state if key not in _PLAN})
        share = self._share(scheduler.last_epoch)
        for group, initial in zip(
            scheduler.optimizer.param_groups, scheduler.base_lrs, strict=True
        ):
            # A rate that was multiplied step by step differs in its last bits, and is to stay.
            if not math.isclose(group["lr"], initial * share, rel_tol=1e-9):
                group["lr"] = initial * share


def exponential(optimizer: Optimizer, *, factor: float, every: int = 1) -> Fixed:
    """`factor` times the rate, again after every so many steps."""
    scheduler = ExponentialLR(optimizer, gamma=factor)
    return Fixed(scheduler, lambda done: factor**done, every=every)


def multistep(optimizer: Optimizer, *, at: Sequence[int], factor: float = 0.1) -> Fixed:
    """`factor` times the rate after each of these numbers of steps."""
    scheduler = MultiStepLR(optimizer, list(at), gamma=factor)
    return Fixed(scheduler, lambda done: factor ** bisect_right(sorted(at), done))


def cosine(optimizer: Optimizer, *, total: int, warm_up: int = 0) -> Fixed:
    """A linear rise over the first `warm_up` steps, then half a cosine down to 0 at the last."""

    def share(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(total - warm_up, 1)))

    return Fixed(LambdaLR(optimizer, share), share)


def steady(optimizer: Optimizer) -> Fixed:
    """The same rate throughout, with its steps counted: a fork may go over to another schedule."""

    def whole(_step: int) -> float:
        return 1.0

    return Fixed(LambdaLR(optimizer, whole), whole)


@dataclass(slots=True)
class Optimiser:
    """A torch optimiser and the schedule of its rate, saved and restored as one."""

    optimizer: Optimizer
    schedule: Schedule | None = None
    _initial: list[float] = field(init=False)  # rates, before any schedule

    def __post_init__(self) -> None:
        groups = self.optimizer.param_groups
        self._initial = [group.get("initial_lr", group["lr"]) for group in groups]

    def step(self, total: Tensor, steps_done: int) -> None:
        """The update by the gradients that are there; `steps_done` counts this one."""
        self.optimizer.step()
        if self.schedule is not None:
            self.schedule.after_step(total, steps_done)

    def state_dict(self) -> dict[str, Any]:
        schedule = {} if self.schedule is None else self.schedule.state_dict()
        return {
            "optimizer": self.optimizer.state_dict(),
            "schedule": schedule,
            "initial": self._initial,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where the saved one was; a rate that is another now is changed in proportion."""
        plans = [
            {key: group[key] for key in group if key not in _WHERE}
            for group in self.optimizer.param_groups
        ]
        self.optimizer.load_state_dict(state["optimizer"])
        for group, plan in zip(self.optimizer.param_groups, plans, strict=True):
            group.update(plan)
        saved = state.get("initial", self._initial)
        for group, now, then in zip(self.optimizer.param_groups, self._initial, saved, strict=True):
            if now != then:
                group["lr"] *= now / then
                group["initial_lr"] = now
        if self.schedule is not None and state["schedule"]:
            self.schedule.load_state_dict(state["schedule"])

    def start_afresh(self) -> None:
        """What is minimised is another number from here on."""
        if self.schedule is not None:
            self.schedule.start_afresh()


def adam(
    parameters: Iterable[Tensor],
    rate: float,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
) -> Optimizer:
    """Adam, fused: a large generator's parameters are most of a step's traffic in memory."""
    return Adam(parameters, lr=rate, betas=betas, fused=True)


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    """A scheduler's state without functions, its tensors as numbers, so that it loads as data only."""
    return {
        key: value.item() if isinstance(value, Tensor) else value
        for key, value in state.items()
        if not callable(value)
    }
