"""What a run uses of the machine, and what the machine has left. Imports no torch."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from engine.run.recipes.settings import whole_number

LIMIT = "QUANTOSCOPE_MEMORY_MB"  # no run may use more than so many MB, where it is set
CGROUPS = Path("/sys/fs/cgroup")
MOST_THREADS = 1024
_CLOSE = 0.8  # of what it could have: a worker that was killed there was killed for it


def threads_wanted() -> int | None:
    """QUANTOSCOPE_THREADS, else OMP_NUM_THREADS, else None; UserError where the first is no such number.

    What OpenMP's own variable says is taken where it is a plain number; it can also hold a list.
    """
    if text := os.environ.get("QUANTOSCOPE_THREADS"):
        return whole_number(text, (1, MOST_THREADS), "QUANTOSCOPE_THREADS")
    usual = os.environ.get("OMP_NUM_THREADS", "").strip()
    asked = int(usual) if usual.isascii() and usual.isdigit() and len(usual) < 5 else 0
    return asked if 1 <= asked <= MOST_THREADS else None


def memory_mb() -> float:
    """Resident memory of this process now, in MB."""
    return float(psutil.Process().memory_info().rss / 1e6)


def peak_memory_mb() -> float:
    """The most that this process ever held, in MB."""
    try:  # Linux's `getrusage` counts what the process held that began this one
        lines = Path("/proc/self/status").read_text().splitlines()
        return (
            next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024 / 1e6
        )
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:  # Windows keeps the peak elsewhere
        return float(psutil.Process().memory_info().peak_wset / 1e6)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def forget_peak() -> None:
    """From now on `peak_memory_mb` is what this process holds from now on, where the system can do that."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def free_memory_mb() -> float:
    """What a new process may have here, in MB: what is left, or less where the user allows less."""
    limit = os.environ.get(LIMIT, "")
    left = machine_memory_mb()
    return min(left, float(limit)) if limit.replace(".", "", 1).isdigit() else left


def machine_memory_mb() -> float:
    """What is left on this machine, in MB, or in the containers that this process is in."""
    left = [psutil.virtual_memory().available / 1e6, *_allowed_by_groups()]
    return float(max(0.0, min(left)))


def _allowed_by_groups() -> Iterator[float]:
    """MB left in each control group that this process is in, of either version."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, kinds, path = line.split(":", 2)
        if kinds == "":
            files = ("memory.max", "memory.current", "inactive_file")
            yield from _left(CGROUPS, path, *files)
        elif "memory" in kinds.split(","):
            files = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            yield from _left(CGROUPS / "memory", path, *files)


def _left(root: Path, path: str, most: str, used: str, cache: str) -> Iterator[float]:
    """Of the group and of all that it is in: seen from within a container, the path may lead nowhere."""
    inner = root / path.strip("/")
    for group in (inner, *inner.parents):
        if not group.is_relative_to(root):
            return
        try:
            limit, taken = (int((group / name).read_text()) for name in (most, used))
            stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        except (OSError, ValueError):  # no such group, or no limit ("max")
            continue
        yield (limit - taken + int(stat.get(cache, 0))) / 1e6  # files in memory give way


def ended_for_memory() -> int | None:
    """How many processes the system has ended for want of memory; None where it does not tell."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)


def why_lost(status: dict[str, Any]) -> str:
    """Why a worker is gone, by the last status that it wrote, as a sentence."""
    held, could = status.get("memory_mb"), status.get("memory_limit_mb")
    if not isinstance(held, (int, float)) or not isinstance(could, (int, float)):
        return "The worker ended without a word: it was killed, or the machine was restarted."
    before, now = status.get("ended_for_memory"), ended_for_memory()
    ended = isinstance(before, int) and now is not None and now > before
    if ended or held > _CLOSE * could:
        return (
            "The system ended the worker, most likely for memory: it had grown to "
            f"{held / 1000:.1f} GB of {could / 1000:.1f} GB."
        )
    return (
        f"The worker ended without a word, at {held / 1000:.1f} GB of memory of {could / 1000:.1f} GB "
        "that it could have: it was killed, or the machine was restarted."
    )
