"""Pieces of work timed in turn (A B C, A B C, ..), so that a busy machine slows all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Work = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Sample:
    """What one turn took, in seconds."""

    cpu: float  # of the processor, all threads together
    wall: float  # by the clock


def interleaved(
    works: Mapping[str, Work], rounds: int, warm_up: int = 1
) -> dict[str, list[Sample]]:
    """`rounds` samples of each piece of work, taken in turn; the turns of the warm-up are not kept."""
    samples: dict[str, list[Sample]] = {name: [] for name in works}
    for turn in range(warm_up + rounds):
        for name, work in works.items():
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            took = Sample(time.process_time() - cpu, time.perf_counter() - wall)
            if turn >= warm_up:
                samples[name].append(took)
    return samples


def seconds(samples: Sequence[Sample]) -> dict[str, float]:
    """The medians of one piece of work."""
    return {
        "cpu_s": statistics.median(one.cpu for one in samples),
        "wall_s": statistics.median(one.wall for one in samples),
    }


def ratio(one: Sequence[Sample], other: Sequence[Sample]) -> dict[str, dict[str, float]]:
    """How many times as long one takes as the other: {"cpu", "wall"}, each {"median", "low", "high"}.

    Of each round by itself, in which the two stood side by side; low and high are the quartiles.
    """
    pairs = list(zip(one, other, strict=True))
    return {
        "cpu": spread([a.cpu / b.cpu for a, b in pairs]),
        "wall": spread([a.wall / b.wall for a, b in pairs]),
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and quartiles."""
    if len(values) < 2:
        return {"median": values[0], "low": values[0], "high": values[0]}
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": median, "low": low, "high": high}


def compared(
    samples: Mapping[str, Sequence[Sample]], over: Sequence[tuple[str, str]]
) -> list[dict[str, Any]]:
    """A row for each pair (work, what it is held against)."""
    return [
        {"work": one, "over": other, **seconds(samples[one]), **ratio(samples[one], samples[other])}
        for one, other in over
    ]
