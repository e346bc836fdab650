"""Which channels of a network share a factor, and which an order: what its layers write to and read from.

Every channel that a layer writes gets a number. Where two are added, their factors must be one (a
residual stream); a depthwise layer passes the order of channels on, but has factors of its own. Behind
what is not positively homogeneous (ReLU6, SiLU, a gate's sigmoid, the image, the output) the factor is
1, and where channels are mixed in a way that is not followed, their order stays too.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One layer, or one BatchNorm that is a factor and a bias for each channel."""

    path: str
    reads: Numbers  # [channels in]: numbers of channels
    writes: Numbers  # [channels out]
    groups: int = 1
    eps: float | None = None  # of a BatchNorm; None for a layer

    @property
    def by_channel(self) -> bool:
        """Each output reads its own channel alone."""
        return self.eps is not None or (self.groups > 1 and self.groups == len(self.writes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """The units in order of execution, and for each channel's number what it shares with others."""

    units: tuple[Unit, ...]
    factor: Numbers  # channels with one factor have one number here
    order: Numbers  # channels that change places together have one number here
    free_factor: NDArray[np.bool_]  # by the numbers in `factor`: False where it is 1
    free_order: NDArray[np.bool_]  # by the numbers in `order`: False where channels stay

    @property
    def layers(self) -> list[str]:
        """The paths of the layers, BatchNorms left out."""
        return [unit.path for unit in self.units if unit.eps is None]


class Sharing:
    """Collects which channels share a factor or an order, while a network is walked."""

    def __init__(self) -> None:
        self._parents: dict[str, list[int]] = {"factor": [], "order": []}
        self._fixed: dict[str, set[int]] = {"factor": set(), "order": set()}

    def new(self, count: int) -> Numbers:
        """Numbers for new channels."""
        first = len(self._parents["factor"])
        found = np.arange(first, first + count, dtype=np.int64)
        for parents in self._parents.values():
            parents.extend(found.tolist())
        return found

    def join(self, what: str, a: Numbers, b: Numbers) -> None:
        """Channel by channel, the two share their factor or their order from now on."""
        parents = self._parents[what]
        for one, other in zip(a.tolist(), b.tolist(), strict=True):
            first, second = sorted((self._root(what, one), self._root(what, other)))
            parents[second] = first

    def fix(self, channels: Numbers, *what: str) -> None:
        """Their factor is 1, or their order as it is."""
        for one in what:
            self._fixed[one].update(channels.tolist())

    def is_fixed(self, channels: Numbers) -> bool:
        """Whether every one's factor is known to be 1."""
        fixed = {self._root("factor", one) for one in self._fixed["factor"]}
        return all(self._root("factor", one) in fixed for one in channels.tolist())

    def streams(self, units: list[Unit]) -> Streams:
        """All that was collected."""
        roots, free = {}, {}
        for what, parents in self._parents.items():
            found = [self._root(what, one) for one in range(len(parents))]
            roots[what] = np.array(found, np.int64)
            free[what] = np.ones(len(found), bool)
            free[what][[found[one] for one in sorted(self._fixed[what])]] = False
        return Streams(
            units=tuple(units), factor=roots["factor"], order=roots["order"],
            free_factor=free["factor"], free_order=free["order"],
        )  # fmt: skip

    def _root(self, what: str, one: int) -> int:
        parents = self._parents[what]
        while parents[one] != one:
            parents[one] = parents[parents[one]]
            one = parents[one]
        return one
