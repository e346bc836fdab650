"""A cure as a process of its own, which goes on when the page is closed. Imports no torch."""

from engine.core.errors import UserError
from engine.run.folders.folder import RunFolder
from engine.run.machine import processes
from engine.run.questions.doctor.cure.kept import begun, keep, place_of
from engine.run.workers import detached


def begin(folder: RunFolder) -> None:
    """Start the cure of a finished run, or go on with it; nothing where it is at work."""
    if is_at_work(folder):
        return
    keep(folder, begun(folder))
    runs = str(folder.path.parent)
    words = ["doctor", folder.run_id, "--try", "all", "--runs", runs, "--json"]
    detached.begin(place_of(folder), words)


def is_at_work(folder: RunFolder) -> bool:
    """Whether somebody is at it: this cure's own process, or one begun on the command line."""
    return _has_process(folder) or processes.is_held(place_of(folder))


def stop(folder: RunFolder) -> None:
    """Have it end, and cancel the run that it tries; what is finished stays. UserError where another did."""
    if not _has_process(folder) and is_at_work(folder):
        raise UserError(
            f"what is tried for run {folder.run_id!r} was begun on the command line; press Ctrl-C there to "
            "end it, or let it end"
        )
    detached.interrupt(place_of(folder), folder.run_id)


def _has_process(folder: RunFolder) -> bool:
    return detached.is_at_work(place_of(folder), folder.run_id)
