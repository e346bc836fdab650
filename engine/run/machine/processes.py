"""Which process is a run's worker: a number in a file is not believed, for numbers are given anew."""

import socket
import time
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from engine.core.outside.reading import is_number

WORKER = "engine.run.workers.worker"  # the module that a worker executes
_AS_BEFORE = "engine.run.worker"  # one that an older version began may still be at work
LOCK = ".worker"  # held by the worker of the folder for as long as it lives
HOST = socket.gethostname()
# A worker that only is silent may be starved by a busy machine: then its lock tells.
LOST_AFTER_S = 60.0


def born(pid: object) -> float | None:
    """What tells a process from a later one of the same number: the moment it began; None where it ended."""
    if not isinstance(pid, int) or isinstance(pid, bool) or pid <= 1:
        return None
    try:  # in ticks since the machine began, which no change of the clock moves
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        # A killed child that its parent has not yet collected still has a number.
        return None if fields[0] == "Z" else float(fields[19])
    except FileNotFoundError:
        pass
    except (OSError, ValueError, IndexError):
        return None
    try:
        return (
            None if Path("/proc/self/stat").exists() else float(psutil.Process(pid).create_time())
        )
    except (psutil.Error, OverflowError):
        return None


def is_at_work(folder: Path, status: dict[str, Any]) -> bool:
    """Whether the worker that wrote this status is still there."""
    here = status.get("host", HOST) == HOST
    began = born(status.get("pid"))
    if here and (began is None or status.get("born", began) != began):
        return False
    silent = abs(time.time() - status["time_s"]) > LOST_AFTER_S
    # Older statuses do not tell when their process began.
    return is_held(folder) if silent or (here and "born" not in status) else True


def is_held(folder: Path) -> bool:
    """Whether a worker, silent or not, holds the folder."""
    lock = folder / LOCK
    if not lock.is_file():
        return False
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # a folder that cannot be written has no worker either
        return False


def await_release(folder: Path, seconds: float) -> bool:
    """Whether no worker holds the folder, at the latest so many seconds from now."""
    end = time.monotonic() + seconds
    while is_held(folder):
        if time.monotonic() >= end:
            return False
        time.sleep(0.02)
    return True


def worker_of(folder: Path, status: dict[str, Any]) -> psutil.Process | None:
    """The process that executes the folder's worker on this machine, looked for where the status is wrong."""
    try:
        found = psutil.Process(status["pid"]) if born(status.get("pid")) is not None else None
        if found is not None and _executes(found, folder):
            return found
        return next((p for p in psutil.process_iter() if _executes(p, folder)), None)
    except psutil.Error:
        return None


def _executes(process: psutil.Process, folder: Path) -> bool:
    try:
        words = process.cmdline()
        is_worker = WORKER in words or _AS_BEFORE in words
        return is_worker and Path(words[-1]) == folder.resolve()
    except (psutil.Error, OSError):
        return False


def is_sound(status: dict[str, Any]) -> bool:
    """Whether an object is a status at all."""
    return isinstance(status.get("state"), str) and is_number(status.get("time_s"))
