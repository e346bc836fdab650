"""The worker: `python -m engine.run.workers.worker RUNFOLDER`, a process of its own for one run.

It takes the one slot there is (so that runs queue instead of fighting for the processor), beats its
heart, and writes every event. Whatever breaks ends as an event that names the way out. Until it holds
the slot it imports no torch: a run that waits costs next to nothing.
"""

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from engine.core.errors import UserError, is_out_of_memory
from engine.core.events import Event, RunFailed, StateChanged
from engine.core.outside.reading import is_number
from engine.run.folders import disk
from engine.run.folders.control import Cancelled, Control, FolderGone
from engine.run.folders.files import sweep
from engine.run.folders.folder import RunFolder, is_disk_full
from engine.run.machine import processes
from engine.run.machine.memory_limit import WAY_OUT, Room
from engine.run.machine.resources import threads_wanted
from engine.run.workers import waiting
from engine.run.workers.heartbeat import Pulse

MOST_THREADS = 8  # small networks gain nothing beyond
LOOK_EVERY_S = 0.3  # at the queue


def run(
    folder: RunFolder, *, own_process: bool = False, end: Callable[[int], object] = os._exit
) -> int:
    """Execute the folder's recipe; 0 when it finished or was cancelled, 1 when it failed.

    `own_process`: threads and limits of the whole process may be set. `end` is how a run that grows too
    large leaves, whatever it is at.
    """
    asked = folder.status().get("asked_s")
    pulse = Pulse(folder, float(asked) if asked and is_number(asked) else time.time())
    with contextlib.suppress(OSError):  # a full disk: the run itself will say so
        folder.hold_reserve()
    pulse.start()
    room, state = Room(walled=own_process), "failed"
    try:
        _work(folder, pulse, room, end)
        state = "done"
    except Cancelled:
        state = "cancelled"
    except FolderGone:
        state = "gone"
        _log("the run's folder was deleted")
    except Exception as error:  # noqa: BLE001  (the one place where everything ends as a message)
        if folder.path.is_dir():
            _report(folder, error, room)
    finally:
        room.close()
        pulse.stop()
        if state != "gone":
            _end(folder, pulse, state)
    return int(state == "failed")


def _work(folder: RunFolder, pulse: Pulse, room: Room, end: Callable[[int], object]) -> None:
    """Wait for the slot, and write all that happens while it is held."""

    def tell(state: str, detail: str = "") -> None:
        folder.append(StateChanged(state=state, detail=detail))
        pulse.set(state=state)

    def changed(state: str) -> None:
        """A paused run lets others work: its fork, say. It queues again before it goes on."""
        if state == "paused":
            slot.release()
            pulse.asked_s = None  # it lost its turn
        elif not slot.is_locked:
            _take(slot, folder, control, pulse, tell)
        tell(state)

    slot = FileLock(folder.path.parent / ".slot")
    control = Control(folder.path, changed)
    try:
        changed("running")
        _enter(room, folder, pulse, end)
        if room.walled:
            settle_in()
        for event in execute(folder, control, room):
            folder.append(event)
            pulse.note(event)
            pulse.limit_mb = room.limit_mb
    finally:
        slot.release()


def execute(folder: RunFolder, control: Control, room: Room) -> Iterator[Event]:
    """The run's events; torch is imported here, once the slot is held."""
    from engine.core import device as devices
    from engine.run import pipeline

    yield from pipeline.execute(folder.recipe, folder, control, devices.choose(), room)


def _enter(room: Room, folder: RunFolder, pulse: Pulse, end: Callable[[int], object]) -> None:
    """Take what is free now, and be watched: a run that outgrows it says so, and its process ends."""

    def leave(words: str) -> None:
        folder.free_reserve()
        folder.append(RunFailed(message=words, advice=WAY_OUT))
        pulse.set(state="failed")
        end(1)

    room.enter()
    pulse.limit_mb = room.limit_mb
    room.watch(leave)


def _take(
    slot: BaseFileLock,
    folder: RunFolder,
    control: Control,
    pulse: Pulse,
    tell: Callable[[str, str], None],
) -> None:
    """Hold the lock that the one run at work holds, in turn; raises Cancelled or FolderGone meanwhile."""
    told = False
    if pulse.asked_s is None:
        pulse.asked_s = time.time()
        pulse.set(state="queued")
    while True:
        control.look()
        with contextlib.suppress(Timeout):
            slot.acquire(timeout=0)
            if waiting.is_next(folder):
                return
            slot.release()
        if not told:
            place = waiting.place_of(folder)
            tell("queued", place.words() if place else "")
            told = True
        time.sleep(LOOK_EVERY_S)


def _end(folder: RunFolder, pulse: Pulse, state: str) -> None:
    try:
        pulse.set(state=state)
        if state == "cancelled":
            folder.append(StateChanged(state=state))
    finally:
        folder.free_reserve()


def _report(folder: RunFolder, error: Exception, room: Room) -> None:
    traceback.print_exception(error, file=sys.stderr)
    folder.free_reserve()
    mistake = isinstance(error, UserError)
    message = _message(error)
    if is_out_of_memory(error):
        message = f"{room.words()}; {message.splitlines()[0]}"
    folder.append(RunFailed(message=message, advice=_advice(error), mistake=mistake))


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
    if is_out_of_memory(error):
        return WAY_OUT
    return "Resume to try again; the full report is in the run's worker.log."


def _log(words: str) -> None:
    sys.stderr.write(f"worker {os.getpid()}: {words}\n")


def settle_in() -> None:
    """Take the threads that a run takes, and let pages go first."""
    import torch

    from engine.core import device as devices

    torch.set_num_threads(threads_wanted() or min(devices.cores(), MOST_THREADS))
    if hasattr(os, "nice"):
        os.nice(5)  # pages stay quick beside a run


def main() -> int:
    folder = RunFolder(Path(sys.argv[1]))
    with contextlib.suppress(Timeout, OSError), FileLock(folder.path / ".launch", timeout=10):
        pass  # whoever started this worker writes its number first
    lock = FileLock(folder.path / processes.LOCK)
    try:
        # A reader may hold it for an instant, to see that nobody does.
        with lock.acquire(timeout=1):
            (folder.path / "checkpoint.new").unlink(missing_ok=True)
            sweep(folder.path, folder.snapshots, folder.path / "blocks")
            return run(folder, own_process=True)
    except Timeout:
        _log("another worker is at this run already")
        return 0


if __name__ == "__main__":
    sys.exit(main())
