"""Start, steer and end the worker process of a run. Imports no torch: pages call this."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from engine.core.errors import UserError
from engine.core.events import StateChanged
from engine.run.control import Wish, read_wish, write_wish
from engine.run.folder import ACTIVE, RunFolder
from engine.run.recipe import Recipe
from engine.run.resources import threads_wanted

GRACE_S = 2.5  # how long a cancelled worker may take to save itself before it is ended


def start(recipe: Recipe, runs: Path) -> RunFolder:
    """Start the recipe's run, or find it: running, it goes on; finished, nothing is computed again."""
    threads_wanted()  # said here, where somebody reads it
    folder = RunFolder.create(runs, recipe)
    if folder.result() is None:
        _launch(folder)
    return folder


def resume(folder: RunFolder) -> None:
    """Go on with a paused run, or start a worker on one that ended early: from its checkpoint."""
    if folder.result() is not None:
        raise UserError(
            f"run {folder.run_id!r} is finished, nothing is left to resume; start it with another "
            "--seed for a new one"
        )
    threads_wanted()
    if folder.status()["state"] == "paused":
        go_on(folder)
    else:
        _launch(folder)


def _launch(folder: RunFolder) -> None:
    with contextlib.suppress(Timeout), FileLock(folder.path / ".launch", timeout=10):
        if folder.status()["state"] in ACTIVE:
            return
        write_wish(folder.path, Wish())
        with (folder.path / "worker.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "engine.run.worker", str(folder.path.resolve())],
                cwd=Path(__file__).parents[2],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=worker_environment(),
            )
        folder.write_status("starting", pid=process.pid)


def worker_environment() -> dict[str, str]:
    """What makes the same arithmetic faster on a processor; what the user has set stays.

    Large tensors come and go at every step: memory kept by the allocator, in large pages, spares the
    system the work of clearing it anew each time. Threads that wait asleep instead of spinning lose
    little when alone, and do not slow down many times beside another busy process.
    """
    wishes = {
        "MALLOC_MMAP_MAX_": "0",
        "MALLOC_TRIM_THRESHOLD_": str(2**40),
        "MALLOC_TOP_PAD_": str(2**26),
        "THP_MEM_ALLOC_ENABLE": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    return wishes | dict(os.environ)


def pause(folder: RunFolder) -> None:
    """Stop before the next step; UserError where no worker is at the run."""
    state = folder.status()["state"]
    if state not in ACTIVE:
        raise UserError(
            f"run {folder.run_id!r} is {state} and cannot be paused; `python -m engine runs` lists "
            "what is at work"
        )
    write_wish(folder.path, replace(read_wish(folder.path), state="pause"))


def step(folder: RunFolder, steps: int = 1) -> None:
    """Take so many steps, then pause."""
    wish = read_wish(folder.path)
    write_wish(folder.path, replace(wish, state="pause", steps=wish.steps + steps))


def go_on(folder: RunFolder, *, slow_s: float | None = None) -> None:
    """Run on; with `slow_s`, at that pace."""
    if slow_s is not None:
        set_pace(folder, slow_s)
    write_wish(folder.path, replace(read_wish(folder.path), state="run"))


def set_pace(folder: RunFolder, slow_s: float) -> None:
    """Wait so many seconds after every step, 0 for none; a paused run stays paused."""
    write_wish(folder.path, replace(read_wish(folder.path), slow_s=slow_s))


def cancel(folder: RunFolder) -> None:
    """End the run's worker within a few seconds; what is checkpointed can be resumed."""
    status = folder.status()
    if status["state"] not in ACTIVE:
        return
    write_wish(folder.path, replace(read_wish(folder.path), state="cancel"))
    pid = status["pid"]
    if _wait_for_end(folder, GRACE_S):
        return
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal_number)
        if _wait_for_end(folder, 1.0):
            break
    if folder.status()["state"] != "cancelled":
        folder.write_status("cancelled", pid=pid)
        folder.append(StateChanged(state="cancelled"))


def _wait_for_end(folder: RunFolder, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if folder.status()["state"] not in ACTIVE:
            return True
        time.sleep(0.05)
    return False
