"""How long calls take beside each other: in turns, so that what else the machine does hits all alike."""

import statistics
import time
from collections.abc import Callable, Sequence

_WARM = 2  # runs that are not counted


def medians_ms(calls: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """Milliseconds of each call by the clock: medians of `repeats` runs in turns, after two for warmth."""
    times: list[list[float]] = [[] for _ in calls]
    for k in range(repeats + _WARM):
        for call, spent in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            if k >= _WARM:
                spent.append(1000 * (time.perf_counter() - start))
    return [statistics.median(spent) for spent in times]
