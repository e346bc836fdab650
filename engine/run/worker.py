"""The worker: `python -m engine.run.worker RUNFOLDER`, a process of its own for one run.

It takes the one slot there is (so that runs queue instead of fighting for the processor), beats its
heart, and writes every event. Whatever breaks ends as an event that names the way out.
"""

import contextlib
import os
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from filelock import BaseFileLock, FileLock, Timeout

from engine.core import device as devices
from engine.core.errors import UserError
from engine.core.events import (
    Event,
    RunFailed,
    StageStarted,
    StateChanged,
    Stepped,
)
from engine.run import disk
from engine.run.control import Cancelled, Control, read_wish
from engine.run.folder import HEARTBEAT_S, RunFolder, is_disk_full
from engine.run.pipeline import execute
from engine.run.resources import threads_wanted

MOST_THREADS = 8  # small networks gain nothing beyond


class Pulse:
    """Writes the status every two seconds and at every change, so that readers know the worker lives."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._fields: dict[str, Any] = {"state": "queued"}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def start(self) -> None:
        with contextlib.suppress(OSError):  # as in every beat
            self.set(state="queued")
        self._thread.start()

    def set(self, **fields: Any) -> None:
        with self._lock:
            self._fields |= fields
            self._folder.write_status(**self._fields)

    def note(self, event: Event) -> None:
        """Remember progress for the next beat, without writing now."""
        if isinstance(event, StageStarted):
            self._fields |= {"stage": event.stage, "step": 0, "total_steps": event.total_steps}
        elif isinstance(event, Stepped):
            self._fields |= {"step": event.step}

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT_S):
            try:
                self.set()
            except OSError:  # a full disk: the run itself will say so
                continue


def run(folder: RunFolder) -> int:
    """Execute the folder's recipe; 0 when it finished or was cancelled, 1 when it failed."""
    pulse = Pulse(folder)
    with contextlib.suppress(OSError):  # a full disk: the run itself will say so
        folder.hold_reserve()
    pulse.start()

    def tell(state: str) -> None:
        folder.append(StateChanged(state=state))
        pulse.set(state=state)

    slot = FileLock(folder.path.parent / ".slot")

    def changed(state: str) -> None:
        """A paused run lets others work: its fork, say. It queues again before it goes on."""
        if state == "paused":
            slot.release()
        else:
            _take(slot, folder, tell)
        tell(state)

    state = "failed"
    try:
        control = Control(folder.path, changed)
        try:
            changed("running")
            for event in execute(folder.recipe, folder, control, devices.choose()):
                folder.append(event)
                pulse.note(event)
        finally:
            slot.release()
        state = "done"
    except Cancelled:
        state = "cancelled"
    except Exception as error:  # noqa: BLE001  (the one place where everything ends as a message)
        _report(folder, error)
    finally:
        pulse.stop()
        _end(folder, pulse, state)
    return int(state == "failed")


def _take(slot: BaseFileLock, folder: RunFolder, tell: Callable[[str], None]) -> None:
    """Hold the lock that the one run at work holds; waits for it, unless cancelled meanwhile."""
    waiting = False
    while not slot.is_locked:
        try:
            slot.acquire(timeout=0.3 if waiting else 0)
        except Timeout:
            if not waiting:
                tell("queued")
            waiting = True
        if read_wish(folder.path).state == "cancel":
            raise Cancelled


def _end(folder: RunFolder, pulse: Pulse, state: str) -> None:
    try:
        pulse.set(state=state)
        if state == "cancelled":
            folder.append(StateChanged(state=state))
    finally:
        folder.free_reserve()


def _report(folder: RunFolder, error: Exception) -> None:
    traceback.print_exception(error, file=sys.stderr)
    folder.free_reserve()
    mistake = isinstance(error, UserError)
    folder.append(RunFailed(message=_message(error), advice=_advice(error), mistake=mistake))


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and is_disk_full(error):
        return f"the disk is full: {error.filename or 'a file of the run'} could not be written"
    if isinstance(error, OSError) and disk.is_of_the_machine(error):
        return disk.reason(error)
    return str(error) or type(error).__name__


def _advice(error: Exception) -> str:
    if isinstance(error, UserError):
        return "Change the recipe as the message says; what is finished stays."
    if isinstance(error, OSError) and is_disk_full(error):
        return "Free some space (delete old runs), then resume: nothing finished is lost."
    if isinstance(error, OSError) and disk.is_of_the_machine(error):
        return f"Do this, then resume, and nothing finished is lost: {disk.way_out(error)}."
    out_of_memory = (
        isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "alloc" in str(error).lower()
    )
    if out_of_memory:
        return "Use fewer images or a smaller batch; what is finished stays."
    return "Resume to try again; the full report is in the run's worker.log."


def settle_in() -> None:
    """Take the threads that a run takes, and let pages go first."""
    torch.set_num_threads(threads_wanted() or min(devices.cores(), MOST_THREADS))
    if hasattr(os, "nice"):
        os.nice(5)  # pages stay quick beside a run


def main() -> int:
    folder = RunFolder(Path(sys.argv[1]))
    settle_in()
    lock = FileLock(folder.path / ".worker")
    try:
        with lock.acquire(timeout=0):
            return run(folder)
    except Timeout:
        return 0  # another worker is at this run already


if __name__ == "__main__":
    sys.exit(main())
