"""Start, steer and end the worker process of a run. Imports no torch: pages call this."""

import contextlib
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from engine.core.errors import UserError
from engine.core.events import Noted, StateChanged
from engine.run.folders.control import Wish, read_wish, write_wish
from engine.run.folders.files import sweep, writing_into
from engine.run.folders.folder import ACTIVE, RunFolder
from engine.run.machine import processes
from engine.run.machine.environment import worker_environment
from engine.run.machine.resources import threads_wanted
from engine.run.recipes.recipe import Recipe

GRACE_S = 2.5  # how long a cancelled worker may take to save itself before it is ended
RELEASE_S = 10.0  # and how long one that ended may still hold its folder
END_S = 1.0  # and how long after each of the system's signals


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
    at_work = folder.status()["state"] in ACTIVE
    if at_work and read_wish(folder.path).state == "pause":  # also where the pause has yet to begin
        go_on(folder)
    else:
        _launch(folder)


def _launch(folder: RunFolder) -> None:
    """Start a worker where there is none."""
    asked_s = time.time()
    # The worker waits for this lock too, so that what it writes comes after what is written here.
    lock = FileLock(folder.path / ".launch", timeout=10)
    with writing_into(folder.path.parent), contextlib.suppress(Timeout), lock:
        status = folder.status()
        if status["state"] in ACTIVE:
            return
        _await_release(folder)
        sweep(folder.path.parent, folder.path)
        write_wish(folder.path, Wish())
        if status["state"] == "lost":
            folder.append(Noted(message=status["why"]))
        folder.write_status("starting", pid=_worker(folder), asked_s=asked_s)


def _await_release(folder: RunFolder) -> None:
    """Wait for a worker that is ending: one that was killed is gone before all its threads let go."""
    if not processes.await_release(folder.path, RELEASE_S):
        raise UserError(
            f"run {folder.run_id!r} still has a worker, which is silent; end it with "
            f"`python -m engine cancel {folder.run_id}`, then start the run again"
        )


def _worker(folder: RunFolder) -> int:
    with (folder.path / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", processes.WORKER, str(folder.path.resolve())],
            cwd=Path(__file__).parents[3],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=worker_environment(),
        )
    return process.pid


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
    """End the run's worker within a few seconds; what is checkpointed can be resumed.

    Only the process that executes this folder's worker is ever sent a signal, whatever number the
    status has. UserError where the worker is on another machine, and does not end by itself.
    """
    status = folder.status()
    if status["state"] not in ACTIVE and not processes.is_held(folder.path):
        return
    write_wish(folder.path, replace(read_wish(folder.path), state="cancel"))
    if _wait_for_end(folder, GRACE_S):
        return
    for send in (psutil.Process.terminate, psutil.Process.kill):
        worker = processes.worker_of(folder.path, status)
        if worker is None:
            break
        with contextlib.suppress(psutil.Error):
            send(worker)
            worker.wait(END_S)
    if processes.is_held(folder.path):
        host = status.get("host", processes.HOST)
        raise UserError(
            f"run {folder.run_id!r} could not be ended from here: its worker is on {host}; "
            "cancel it there"
        )
    if folder.status()["state"] != "cancelled":
        folder.write_status("cancelled")
        folder.append(StateChanged(state="cancelled"))


def _wait_for_end(folder: RunFolder, seconds: float) -> bool:
    """Whether the worker was gone within so many seconds, and left its own last word."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if folder.status()["state"] not in ACTIVE and not processes.is_held(folder.path):
            return bool(folder.status()["state"] != "lost")
        time.sleep(0.05)
    return False
