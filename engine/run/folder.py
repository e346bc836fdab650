"""A run on disk: `recipe.json`, `events.jsonl`, `snapshots/`, `checkpoint`, `control.json`, `status.json`.

One process writes (the worker), any number read. Nothing here imports torch, so that a page may use it.
"""

import errno
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.core.errors import UserError
from engine.core.events import Event, RunFinished, from_json
from engine.run.recipe import Recipe

HEARTBEAT_S = 2.0
# A worker whose process is gone is lost at once; one that only is silent may be starved by a busy machine.
LOST_AFTER_S = 60.0
ACTIVE = ("starting", "queued", "running", "paused")
RESERVE_BYTES = 64 * 1024  # freed on a full disk, so that the last message can still be written
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def safe_name(name: str) -> str:
    """The name, if it can only mean something directly inside a folder; else UserError."""
    if not _SAFE_NAME.fullmatch(name) or ".." in name:
        raise UserError(
            f"{name!r} is not the name of a run or file; names hold letters, digits, '.', '_' and '-'"
        )
    return name


class RunFolder:
    """One run's folder: written by its worker, read by everyone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.snapshots = path / "snapshots"
        self.events_file = path / "events.jsonl"

    @classmethod
    def create(cls, runs: Path, recipe: Recipe) -> "RunFolder":
        """The folder of this recipe, made if it is not there: the same recipe finds the same run."""
        folder = cls(runs / recipe.run_id)
        folder.snapshots.mkdir(parents=True, exist_ok=True)
        if not (folder.path / "recipe.json").exists():
            write_atomically(folder.path / "recipe.json", recipe.to_json().encode())
        return folder

    @classmethod
    def open(cls, runs: Path, run: str) -> "RunFolder":
        """The folder of a run by its id; UserError where there is none."""
        folder = cls(runs / safe_name(run))
        if not (folder.path / "recipe.json").is_file():
            raise UserError(
                f"run {run!r} is not in {runs}; `python -m engine runs` lists what is there"
            )
        return folder

    @property
    def run_id(self) -> str:
        return self.path.name

    @property
    def recipe(self) -> Recipe:
        return Recipe.from_json((self.path / "recipe.json").read_text())

    # --- events -------------------------------------------------------------------------------

    def append(self, event: Event) -> None:
        """Add one line; a torn line left by a crash is closed first, so that only it is lost."""
        data = event.to_json().encode() + b"\n"
        with self.events_file.open("ab") as file:
            if file.tell() and not self._ends_with_newline():
                data = b"\n" + data
            file.write(data)

    def _ends_with_newline(self) -> bool:
        with self.events_file.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"

    def lines(self, offset: int = 0) -> Iterator[tuple[int, bytes]]:
        """(offset behind the line, line) for every whole line from the byte offset on."""
        if not self.events_file.exists():
            return
        with self.events_file.open("rb") as file:
            file.seek(offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                offset += len(line)
                yield offset, line.rstrip(b"\n")

    def events(self, offset: int = 0) -> Iterator[tuple[int, Event]]:
        """(offset behind the event, event), torn and unknown lines left out."""
        for behind, line in self.lines(offset):
            event = from_json(line)
            if event is not None:
                yield behind, event

    # --- status -------------------------------------------------------------------------------

    def write_status(self, state: str, **more: Any) -> None:
        """What a listing shows, replaced as a whole: state, process, time of writing, progress."""
        status = {"state": state, "pid": os.getpid(), "time_s": time.time(), **more}
        write_atomically(self.path / "status.json", json.dumps(status).encode())

    def status(self) -> dict[str, Any]:
        """The worker's last status; its state is "lost" where the worker is gone without a word."""
        try:
            status: dict[str, Any] = json.loads((self.path / "status.json").read_text())
        except (OSError, ValueError):
            return {"state": "new"}
        if status["state"] in ACTIVE:
            silent_s = time.time() - status["time_s"]
            if silent_s > LOST_AFTER_S or not _is_alive(status.get("pid")):
                status["state"] = "lost"
        return status

    def result(self) -> dict[str, Any] | None:
        """The finished run's numbers, and the folder where it lies now; None before it is finished."""
        try:
            result: dict[str, Any] = json.loads((self.path / "result.json").read_text())
        except (OSError, ValueError):
            return None
        return {"run": self.run_id, "folder": str(self.path)} | result

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
        """Remove the run with all its files; UserError while a worker is at it."""
        if self.status()["state"] in ACTIVE:
            raise UserError(f"run {self.run_id!r} is at work; cancel it first")
        shutil.rmtree(self.path)


def write_atomically(path: Path, data: bytes) -> None:
    """Write beside, then replace: a reader sees the old file or the new one, never a part."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def is_disk_full(error: OSError) -> bool:
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def list_runs(runs: Path) -> list[RunFolder]:
    """Every run in the folder, the newest first."""
    if not runs.is_dir():
        return []
    folders = [RunFolder(path.parent) for path in runs.glob("*/recipe.json")]
    return sorted(folders, key=lambda folder: folder.path.stat().st_mtime, reverse=True)


def _is_alive(pid: int | None) -> bool:
    if pid is None:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:  # a killed child that its parent has not yet collected still has a number
        stat = Path(f"/proc/{pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return True
