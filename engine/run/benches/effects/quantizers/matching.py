"""A control made alike in one number of its run: a setting of it is searched, seed by seed, by bisection."""

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Which setting of the control is searched, and which number of its run is to be the method's."""

    setting: str
    number: str  # by the keys of NUMBERS
    words: str  # what the number is, for a page
    between: tuple[float, float]  # positive; at the second one the number is smaller
    within: float  # how far it may stay from the method's
    most: int = 8  # runs a seed


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A value of the setting, and the number there."""

    value: float
    number: float


def nearest(
    wanted: float, number_at: Callable[[float], float], match: Match, first: float | None = None
) -> Found:
    """The value whose number is nearest to the wanted one, of those that a bisection on a log scale meets.

    It ends where one is near enough. `first` is tried before all others: what another seed has found.
    """
    low, high = match.between
    tried: list[Found] = []
    value = math.sqrt(low * high) if first is None else first
    while True:
        value = float(f"{value:.4g}")  # as a file tells it
        tried.append(Found(value=value, number=number_at(value)))
        best = min(tried, key=lambda one: abs(one.number - wanted))
        if abs(best.number - wanted) <= match.within or len(tried) == match.most:
            return best
        if tried[-1].number > wanted:
            low = value
        else:
            high = value
        value = math.sqrt(low * high)
