"""Runs wait for the one slot in the order in which they were asked for. Imports no torch.

The queue is what the waiting workers' own status files say: nothing else has to be kept or cleaned.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.core.outside.reading import is_number, read_object
from engine.run.folders.folder import RunFolder

WAITING = ("starting", "queued")
DEAF_S = 15.0  # one that is silent for so long holds nobody up: its worker may have been halted


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A run's place in the queue, from 1, and what is before it."""

    place: int
    of: int
    at_work: str  # the run that holds the slot; empty where none does, or it is not known

    def words(self) -> str:
        """For example "second in line behind run X"."""
        behind = f" behind run {self.at_work}" if self.at_work else ""
        return f"{self.place} of {self.of} in line{behind}"


def waiting(runs: Path) -> list[RunFolder]:
    """The runs that wait, in the order in which they were asked for."""
    return [RunFolder(path) for _, path in sorted(_queue(runs))]


def is_next(folder: RunFolder) -> bool:
    """Whether nobody who was asked for before it waits too."""
    mine = _when(read_object(folder.path / "status.json") or {}), folder.path
    return not any(other < mine for other in _queue(folder.path.parent))


def place_of(folder: RunFolder) -> Place | None:
    """Where a waiting run stands; None where it does not wait."""
    line = [run.path for run in waiting(folder.path.parent)]
    if folder.path not in line:
        return None
    return Place(
        place=line.index(folder.path) + 1, of=len(line), at_work=_at_work(folder.path.parent)
    )


def _queue(runs: Path) -> list[tuple[float, Path]]:
    found = []
    for path, status in _statuses(runs):
        if status.get("state") in WAITING:
            status = RunFolder(path).status()  # which tells a worker that is gone
            if status["state"] in WAITING and abs(time.time() - status["time_s"]) < DEAF_S:
                found.append((_when(status), path))
    return found


def _at_work(runs: Path) -> str:
    for path, status in _statuses(runs):
        if status.get("state") == "running" and RunFolder(path).status()["state"] == "running":
            return path.name
    return ""


def _statuses(runs: Path) -> list[tuple[Path, dict[str, Any]]]:
    files = runs.glob("*/status.json")
    return [(file.parent, read_object(file) or {}) for file in files]


def _when(status: dict[str, Any]) -> float:
    asked = status.get("asked_s", status.get("time_s"))
    return float(asked) if is_number(asked) else 0.0  # type: ignore[arg-type]
