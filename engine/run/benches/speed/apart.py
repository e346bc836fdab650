"""Work in a process of its own, with the memory allocator of a run's worker; and the machine it is on."""

import multiprocessing
import os
import platform
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import psutil

from engine.run.machine.environment import worker_environment
from engine.run.machine.resources import memory_mb, peak_memory_mb


def apart(work: Callable[..., Any], *given: Any) -> Any:
    """What `work(*given)` returns in a fresh process; both must be picklable."""
    kept = dict(os.environ)
    os.environ.update(worker_environment())  # a process reads them when it begins
    try:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            return pool.submit(work, *given).result()
    finally:
        os.environ.clear()
        os.environ.update(kept)


def peak_of(
    prepare: Callable[..., Callable[[], object]], *given: Any, times: int = 2
) -> dict[str, float]:
    """What `prepare(*given)` takes of memory when it is done so often, in MB: before it, and at most."""
    return dict(apart(_peak, prepare, given, times))


def _peak(
    prepare: Callable[..., Callable[[], object]], given: tuple[Any, ...], times: int
) -> dict[str, float]:
    work = prepare(*given)
    before = memory_mb()
    for _ in range(times):
        work()
    return {"ready_mb": before, "peak_mb": peak_memory_mb()}


def machine(threads: int) -> dict[str, Any]:
    """What the figures were measured on, and how busy it was with other work a moment ago."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "processor": _processor(),
        "cores": psutil.cpu_count(),
        "threads": threads,
        "load": load,  # processes at work, the mean of the last minute
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:  # noqa: PTH123  (no file of ours)
            names = (
                line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
            )
            return next(names, platform.processor())
    except OSError:
        return platform.processor()
