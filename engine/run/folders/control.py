"""How the viewers of a run steer its worker: one small file that they replace and it looks at."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.core.outside.reading import is_number, read_object
from engine.run.folders.files import write_atomically

_LOOK_EVERY_S = 0.05
CHECKPOINT_MARK = (
    "checkpoint.json"  # which machine was saved at which step, for readers without torch
)


class Cancelled(Exception):  # noqa: N818  (not an error: somebody's wish)
    """The run was asked to stop."""


class FolderGone(Exception):  # noqa: N818  (somebody's wish too)
    """The run's folder was deleted: nobody can see what is computed any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the viewers want: `state` is run, pause or cancel; `steps` counts single steps allowed."""

    state: str = "run"
    steps: int = 0
    slow_s: float = 0.0  # wait after every step


def read_wish(folder: Path) -> Wish:
    """The wish in the folder; without a (readable) file, to run."""
    try:
        wish = Wish(**(read_object(folder / "control.json") or {}))
    except TypeError:  # a field that a wish does not have
        return Wish()
    sound = wish.state in ("run", "pause", "cancel") and type(wish.steps) is int
    return wish if sound and is_number(wish.slow_s) else Wish()


def write_wish(folder: Path, wish: Wish) -> None:
    write_atomically(folder / "control.json", json.dumps(asdict(wish)).encode())


def _place(folder: Path) -> tuple[int, int] | None:
    """What tells a folder from one that is made later under its name."""
    try:
        stat = folder.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def _hold(folder: Path) -> int | None:
    try:
        return os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders, and deletes none that is in use
        return None


class Control:
    """The worker's side: `wait()` before every step returns when the step may be taken."""

    def __init__(self, folder: Path, on_change: Callable[[str], None] = lambda state: None) -> None:
        self._file = folder / "control.json"
        self._folder = folder
        self._place = _place(folder)
        # A folder that is open keeps its number, also when it is deleted: no other is given it.
        self._held = _hold(folder)
        self._on_change = on_change
        self._seen: int | None = None
        self._wish = Wish()
        self._steps_taken = read_wish(folder).steps
        self._paused = False
        self.waited_s = 0.0  # time spent paused or slowed, to be left out of timings

    def __del__(self) -> None:
        if self._held is not None:
            os.close(self._held)

    def wait(self, before_pause: Callable[[], None] = lambda: None) -> None:
        """Return when the next step may be taken; raises Cancelled.

        `before_pause` is called once where there is something to wait for: a paused run can be forked.
        Raises FolderGone where the run was deleted, also where it was begun anew since.
        """
        start = time.monotonic()
        self._look()
        if self._wish.slow_s and self._wish.state == "run":
            self._sleep(self._wish.slow_s)
        saved = False
        while self._wish.state == "pause" and self._steps_taken >= self._wish.steps:
            if not saved:
                before_pause()
                saved = True
            self._set_paused(True)
            time.sleep(_LOOK_EVERY_S)
            self._look()
        if self._wish.state == "pause":
            self._steps_taken += 1
        else:
            self._steps_taken = self._wish.steps
            self._set_paused(False)
        self.waited_s += time.monotonic() - start

    def _sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and self._wish.slow_s and self._wish.state == "run":
            time.sleep(min(_LOOK_EVERY_S, seconds))
            self._look()

    def look(self) -> None:
        """Raise Cancelled or FolderGone where somebody wants it so; waits for nothing."""
        self._look()

    def _look(self) -> None:
        try:
            seen = self._file.stat().st_mtime_ns
        except OSError:
            seen = None
        if self._place is not None and _place(self._folder) != self._place:
            raise FolderGone
        if seen is None:
            return
        if seen != self._seen:
            self._seen = seen
            self._wish = read_wish(self._folder)
        if self._wish.state == "cancel":
            raise Cancelled

    def _set_paused(self, paused: bool) -> None:  # noqa: FBT001
        if paused != self._paused:
            self._paused = paused
            self._on_change("paused" if paused else "running")
