"""A run on disk: `recipe.json`, `events.jsonl`, `snapshots/`, `checkpoint`, `control.json`, `status.json`.

One process writes (the worker), any number read. Nothing here imports torch, so that a page may use it.
"""

import contextlib
import json
import os
import re
import time
from pathlib import Path
from typing import Any

from engine.core.errors import UserError
from engine.core.events import RunFinished, StateChanged, from_json
from engine.core.outside.reading import KeptObject, is_number, read_object
from engine.run.folders.event_log import EventLog
from engine.run.folders.files import (
    is_disk_full,
    remove_folder,
    set_aside,
    write_atomically,
    writing_into,
)
from engine.run.folders.names import is_result, may_be_named, read_recipe
from engine.run.folders.opened import computed_as, opened_from, opened_name
from engine.run.folders.version import engine_version
from engine.run.machine import processes
from engine.run.machine.resources import why_lost
from engine.run.recipes.recipe import Recipe

__all__ = [
    "ACTIVE",
    "RunFolder",
    "damaged_runs",
    "is_disk_full",
    "list_runs",
    "safe_name",
    "write_atomically",
]

HEARTBEAT_S = 2.0
ACTIVE = ("starting", "queued", "running", "paused")
ENDED = ("done", "cancelled", "failed")  # a worker's last word
LEAVING_S = 3.0  # how long a worker may still hold its folder behind it
RESERVE_BYTES = 64 * 1024  # freed on a full disk, so that the last message can still be written
_CHANGED = f'"{StateChanged.kind}"'.encode()  # in a line of such an event
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def safe_name(name: str) -> str:
    """The name, if it can only mean something directly inside a folder; else UserError."""
    if not _SAFE_NAME.fullmatch(name) or ".." in name:
        raise UserError(
            f"{name!r} is not the name of a run or file; names hold letters, digits, '.', '_' and '-'"
        )
    return name


class RunFolder(EventLog):
    """One run's folder: written by its worker, read by everyone."""

    def __init__(self, path: Path) -> None:
        super().__init__(path / "events.jsonl")
        self.path = path
        self.snapshots = path / "snapshots"
        self._result = KeptObject(path / "result.json")  # a page asks for it some forty times

    @classmethod
    def create(cls, runs: Path, recipe: Recipe) -> "RunFolder":
        """The folder of this recipe, made if it is not there: the same recipe finds the same run.

        A recipe that cannot be read is written anew, for the folder's name says which it is. UserError
        where another recipe lies under this name, or nothing can be written.
        """
        folder = cls(runs / recipe.run_id)
        if opened_from(folder.path):  # older engines put them where the run itself belongs
            raise UserError(
                f"{folder.path} came in a bundle, and nothing can be computed there; rename it to "
                f"{opened_name(folder.run_id)}, or delete it"
            )
        with writing_into(runs):
            folder.snapshots.mkdir(parents=True, exist_ok=True)
            file = folder.path / "recipe.json"
            if read_recipe(file) is None:
                if file.exists():
                    set_aside(file)
                write_atomically(file, recipe.to_json().encode())
        folder._refuse_damaged()
        return folder

    @classmethod
    def open(cls, runs: Path, run: str) -> "RunFolder":
        """The folder of a run by its id; UserError where there is none, or it is damaged."""
        folder = cls.find(runs, run)
        folder._refuse_damaged()
        return folder

    @classmethod
    def find(cls, runs: Path, run: str) -> "RunFolder":
        """The same, sound or not: what is damaged can still be deleted."""
        folder = cls(runs / safe_name(run))
        if not folder.path.is_dir() or not holds_a_run(folder.path):
            raise UserError(
                f"run {run!r} is not in {runs}; `python -m engine runs` lists what is there"
            )
        return folder

    @property
    def run_id(self) -> str:
        return self.path.name

    @property
    def recipe(self) -> Recipe:
        """What the folder's run computes; UserError where the file holds no recipe."""
        recipe = read_recipe(self.path / "recipe.json")
        if recipe is None:
            raise UserError(f"run {self.run_id!r} is damaged; {self.damage()}")
        return recipe

    def damage(self) -> str | None:
        """What is wrong with the recipe that all else stands on, and the way out; None where it is sound."""
        recipe = read_recipe(self.path / "recipe.json")
        if recipe is None:
            return (
                f"{self.path / 'recipe.json'} holds no recipe of this version; "
                f"delete the run (`python -m engine delete {self.run_id}`), and start it again"
            )
        if not may_be_named(recipe, computed_as(self.path)):
            return (
                f"{self.path / 'recipe.json'} is the recipe of another run; rename the folder "
                f"to {recipe.run_id}, or delete it"
            )
        return None

    def _refuse_damaged(self) -> None:
        damage = self.damage()
        if damage:
            raise UserError(f"run {self.run_id!r} is damaged; {damage}")

    def asked_s(self) -> float:
        """When the run was asked for, in seconds since 1970, wherever its files have been copied since.

        The time of its first change of state, as a fork begins with events of the run that it left; of a
        run that has none, of its recipe's file; 0 where there is neither.
        """
        with contextlib.suppress(OSError):
            for _, line in self.lines():
                first = from_json(line) if _CHANGED in line else None
                if first is not None and is_number(first.time_s):
                    return float(first.time_s)
        try:
            return (self.path / "recipe.json").stat().st_mtime
        except OSError:  # deleted a moment ago
            return 0.0

    # --- status -------------------------------------------------------------------------------

    def write_status(self, state: str, **more: Any) -> None:
        """What a listing shows, replaced as a whole: state, process, time of writing, progress."""
        pid = more.pop("pid", os.getpid())
        who = {"pid": pid, "host": processes.HOST, "time_s": time.time()}
        began = processes.born(pid)
        who |= {} if began is None else {"born": began}
        status = {"state": state, **who, **more}
        write_atomically(self.path / "status.json", json.dumps(status).encode())

    def status(self) -> dict[str, Any]:
        """The worker's last status; its state is "lost" where the worker is gone, and `why` says more."""
        status = self._written_status()
        if status["state"] in ACTIVE and not processes.is_at_work(self.path, status):
            again = self._written_status()  # its last word may have come between
            if again["state"] not in ACTIVE:
                return again
            status |= {"state": "lost", "why": why_lost(status)}
        return status

    def _written_status(self) -> dict[str, Any]:
        status = read_object(self.path / "status.json")
        return status if status is not None and processes.is_sound(status) else {"state": "new"}

    def result(self) -> dict[str, Any] | None:
        """The finished run's numbers, and the folder where it lies now; None before it is finished.

        `other_engine` is there where another version of the engine computed them, and says so;
        `opened_from` names the bundle that the run came in.
        """
        result = self._result.read()
        if result is None or not is_result(result):
            return None
        here = {"run": self.run_id, "folder": str(self.path)}
        by = result.get("engine")
        if by is not None and by != engine_version():
            here["other_engine"] = f"Computed by engine {by}; this is {engine_version()}."
        bundle = opened_from(self.path)
        sure = here | {"opened_from": bundle} if bundle else {}  # whatever a stranger's result says
        return here | result | sure

    def finish(self, result: dict[str, Any]) -> None:
        """Write the result for good."""
        write_atomically(self.path / "result.json", json.dumps(result, indent=1).encode())
        self.append(RunFinished(result=result))

    # --- files --------------------------------------------------------------------------------

    def snapshot(self, name: str) -> Path:
        """The path of a snapshot by its name, which cannot lead out of the folder."""
        return self.snapshots / safe_name(name)

    def hold_reserve(self) -> None:
        """Set a little disk aside for the last message of a run that fills the disk."""
        (self.path / ".reserve").write_bytes(b"\0" * RESERVE_BYTES)

    def free_reserve(self) -> None:
        (self.path / ".reserve").unlink(missing_ok=True)

    def delete(self) -> None:
        """Remove the run with all its files; UserError while a worker is at it, silent or not.

        A worker that has written its last word is leaving, and waited for.
        """
        state = self.status()["state"]
        patience_s = LEAVING_S if state in ENDED else 0.0
        if state in ACTIVE or not processes.await_release(self.path, patience_s):
            raise UserError(f"run {self.run_id!r} is at work; cancel it first")
        with writing_into(self.path.parent):
            if self.path.is_symlink():
                self.path.unlink()
            else:
                remove_folder(self.path)


def list_runs(runs: Path) -> list[RunFolder]:
    """Every sound run in the folder, the newest first."""
    return [folder for folder in _all_runs(runs) if folder.damage() is None]


def damaged_runs(runs: Path) -> list[RunFolder]:
    """The folders that hold a run which cannot be read: to be told of, and deleted."""
    return [folder for folder in _all_runs(runs) if folder.damage() is not None]


def _all_runs(runs: Path) -> list[RunFolder]:
    try:
        paths = [path for path in runs.iterdir() if path.is_dir() and holds_a_run(path)]
    except OSError:
        return []
    return [RunFolder(path) for path in sorted(paths, key=_changed, reverse=True)]


def holds_a_run(path: Path) -> bool:
    """Whether a folder is a run's, sound or not."""
    names = ("recipe.json", "status.json", "events.jsonl")
    return not path.name.startswith(".") and any((path / name).exists() for name in names)


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # deleted a moment ago
        return 0.0
