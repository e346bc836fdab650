"""Rounds of fixing: a share of the weights at a time takes values of one codebook, which grows with them.

Subia-Waud, Dasmahapatra, NeurIPS 2023, arXiv:2309.13575, in the reading of its release: the value that most
weights have within δ of their own σ takes them, nearest first, and so on; where none takes any, values may
be sums of one power more, and δ doubles, in turns.

Departures: weights once fixed stay, and speak for their own value alone (there they are clustered anew in
every round, mostly to where they were). Layers of b bits share at most 2^b values of the codebook: once
there would be more, their values are planned, and weights take the nearest of those, nearest in σ first.
The share of a round is that of the weights of each width.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from engine.core.sampling.samples import sampled
from engine.quantization.grids.level_sets import nearest_codes
from engine.quantization.grids.weights.codebook.powers import LEAST_SIGMA, signed_sums

_LEAST_DISTANCE = 2.0**-20  # σ counts as at least this where distances are told
_TRIED = 2**14  # weights, for the first δ where the codebook is short
_DOUBLINGS = 10
_NONE = torch.empty(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Which values there are, and from how far they take weights."""

    delta: float = 1.0  # in σ, at first
    most_order: int = 4  # powers of two in a sum
    finest: int = 7  # the smallest is 2^−finest; weights below it are 0 at no distance


@dataclass(slots=True, kw_only=True)
class Codebook:
    """Values in the order in which they were taken, and the fewest bits whose layers may use each."""

    values: list[float] = field(default_factory=list)
    bits: list[int] = field(default_factory=list)

    def of(self, bits: int) -> Tensor:
        """The values that layers of so many bits use, double, rising."""
        usable = [v for v, b in zip(self.values, self.bits, strict=True) if b <= bits]
        return torch.tensor(sorted(usable), dtype=torch.double)

    def can_add(self, value: float, bits: int, fewer: int) -> bool:
        """Whether these layers may take a value: theirs already, or there is room for one more.

        `fewer`: the widest layers that have fewer bits; what they may still take is kept free for them.
        """
        if value in self.values and self.bits[self.values.index(value)] <= bits:
            return True
        usable = sum(b <= bits for b in self.bits)
        theirs = sum(b <= fewer for b in self.bits) if fewer else 0
        kept_free = int(2**fewer) - theirs if fewer else 0
        return usable + kept_free < int(2**bits)

    def add(self, value: float, bits: int) -> None:
        """Let layers of these bits use the value."""
        if value not in self.values:
            self.values.append(value)
            self.bits.append(bits)
            return
        k = self.values.index(value)
        self.bits[k] = min(self.bits[k], bits)


@dataclass(slots=True, kw_only=True)
class Cloud:
    """The weights of all layers of the same bits, in one row."""

    bits: int
    means: Tensor  # [n]; a fixed weight has its value
    sigmas: Tensor  # [n]
    fixed: Tensor  # [n], bool
    counts: Tensor  # [n]: what a squared error counts, where values are planned


def fix_share(cloud: Cloud, share: float, book: Codebook, reach: Reach, fewer: int = 0) -> None:
    """Fix weights of the cloud, in place, until this share of them is; the codebook grows by what they take.

    A fixed weight's mean is its value; its sigma the standard deviation of what was fixed together with it.
    """
    wanted = round(share * len(cloud.means)) - int(cloud.fixed.sum())
    if wanted <= 0:
        return
    work = _planned(cloud, book, reach, fewer)
    while wanted > 0:
        wanted -= work.take(wanted)


def _planned(cloud: Cloud, book: Codebook, reach: Reach, fewer: int) -> "_Round":
    """The round as the paper has it, where the codebook has room for all that it would ask for in the end.

    Else the values are planned as if all weights were fixed now, from δ on and from its doubles, whichever
    come nearest by squared errors, told in the layers' sizes, and are in the codebook from then on: so that
    none is given to the many that are small before the few that are large have theirs.
    """
    few = sampled(torch.arange(len(cloud.means)), _TRIED).to(cloud.means.device)
    means, counts = cloud.means[few], cloud.counts[few]
    planned, least = _NONE, float("inf")
    for doubled in range(_DOUBLINGS):
        trial = Cloud(
            bits=cloud.bits, means=means.clone(), sigmas=cloud.sigmas[few].clone(),
            fixed=cloud.fixed[few].clone(), counts=counts,
        )  # fmt: skip
        tried = deepcopy(book)
        work = _Round(trial, tried, replace(reach, delta=reach.delta * 2**doubled), fewer)
        while left := int((~trial.fixed).sum()):
            work.take(left)
        if not work.full and not doubled:
            break
        values = tried.of(cloud.bits).to(means.device)
        away = means - values[nearest_codes(means.double(), values)]
        error = float((counts * away.square()).sum())
        if error < least:
            planned, least = values, error
        if not work.full:
            break
    for value in planned.tolist():
        book.add(value, cloud.bits)
    return _Round(cloud, book, reach, fewer, planned)


class _Round:
    """One cloud in one round: free weights, candidates, and how many free weights each could take."""

    def __init__(
        self,
        cloud: Cloud,
        book: Codebook,
        reach: Reach,
        fewer: int,
        planned: Tensor = _NONE,  # values, where the codebook has no room for more
    ) -> None:
        self.cloud, self.book, self.reach, self.fewer = cloud, book, reach, fewer
        self.planned = planned.to(cloud.means.device)
        self.order, self.delta, self.widen_next = 1, reach.delta, False
        self.free = (~cloud.fixed).nonzero()[:, 0]
        self.full = len(planned) > 0
        if not self.full:
            self._look()

    def _look(self) -> None:
        """Candidates, and the range of them that each free weight has within δ σ."""
        cloud = self.cloud
        means = cloud.means[self.free].double()
        largest = float(means.abs().max()) if len(means) else 0.0
        new = signed_sums(self.order, self.reach.finest, largest)
        self.values = torch.cat([new, self.book.of(self.cloud.bits)]).unique().to(means.device)
        spread = self.delta * cloud.sigmas[self.free].double().clamp_min(_LEAST_DISTANCE)
        self.first = torch.searchsorted(self.values, means - spread)
        self.behind = torch.searchsorted(self.values, means + spread, right=True)
        zero = int(torch.searchsorted(self.values, 0.0))
        small = means.abs() < 2.0**-self.reach.finest
        self.first[small] = self.first[small].clamp_max(zero)
        self.behind[small] = self.behind[small].clamp_min(zero + 1)
        self.votes = self._count(self.first, self.behind)
        at = nearest_codes(cloud.means[cloud.fixed].double(), self.values)
        self.members = torch.bincount(at, minlength=len(self.values))

    def _count(self, first: Tensor, behind: Tensor) -> Tensor:
        size = len(self.values) + 1
        steps = torch.bincount(first, minlength=size) - torch.bincount(behind, minlength=size)
        counts: Tensor = steps.cumsum(0)[:-1]
        return counts

    def take(self, most: int) -> int:
        """Fix at most so many weights, by one value; how many it was. 0: the next call looks farther."""
        if self.full:
            return self._nearest(most)
        if not int(self.votes.max()):
            self._farther()
            return 0
        k = int(torch.where(self.votes > 0, self.votes + self.members, 0).argmax())
        value = float(self.values[k])
        if not self.book.can_add(value, self.cloud.bits, self.fewer):
            self.full, self.planned = True, self.book.of(self.cloud.bits).to(self.values.device)
            return 0
        inside = (self.first <= k) & (k < self.behind)
        index = inside.nonzero()[:, 0]
        distance = self._distance(self.free[index], value)
        index = index[distance.argsort(stable=True)[:most]]
        self.book.add(value, self.cloud.bits)
        self.votes -= self._count(self.first[index], self.behind[index])
        self.members[k] += len(index)
        self._fix(self.free[index], value)
        left = torch.ones(len(self.free), dtype=torch.bool, device=self.free.device)
        left[index] = False
        self.free, self.first, self.behind = self.free[left], self.first[left], self.behind[left]
        return len(index)

    def _distance(self, which: Tensor, value: float | Tensor) -> Tensor:
        means, sigmas = self.cloud.means[which].double(), self.cloud.sigmas[which].double()
        away = (means - value).abs() / sigmas.clamp_min(_LEAST_DISTANCE)
        if isinstance(value, float) and value == 0:
            away = torch.where(means.abs() < 2.0**-self.reach.finest, 0.0, away)
        return away

    def _fix(self, which: Tensor, value: float) -> None:
        cloud = self.cloud
        sigma = cloud.means[which].std(correction=0).clamp_min(LEAST_SIGMA)
        cloud.sigmas[which] = sigma
        cloud.means[which] = value
        cloud.fixed[which] = True

    def _farther(self) -> None:
        """One power more in the sums, or twice the distance, in turns."""
        if not self.widen_next and self.order < self.reach.most_order:
            self.order += 1
        else:
            self.delta *= 2
        self.widen_next = not self.widen_next
        self._look()

    def _nearest(self, most: int) -> int:
        """There are no values but the planned ones: the free weights that are nearest to one take it."""
        values = self.planned
        at = nearest_codes(self.cloud.means[self.free].double(), values)
        order = self._distance(self.free, values[at]).argsort(stable=True)[:most]
        for k in at[order].unique().tolist():
            self._fix(self.free[order[at[order] == k]], float(values[k]))
        left = torch.ones(len(self.free), dtype=torch.bool, device=self.free.device)
        left[order] = False
        self.free = self.free[left]
        return len(order)


def fix_all(clouds: Sequence[Cloud], share: float, book: Codebook, reach: Reach) -> None:
    """`fix_share` of every cloud, those of fewest bits first."""
    fewer = 0
    for cloud in sorted(clouds, key=lambda one: one.bits):
        fix_share(cloud, share, book, reach, fewer)
        fewer = cloud.bits


def shannon_entropy(counts: Tensor) -> float:
    """Bits a value, of how often each occurs."""
    p: Any = counts[counts > 0].double() / counts.sum()
    return float(-(p * p.log2()).sum())
