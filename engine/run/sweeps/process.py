"""A sweep as a process of its own, which goes on when whoever started it is gone. Imports no torch."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.core.errors import UserError
from engine.core.outside.reading import read_object
from engine.run.folders.files import write_atomically
from engine.run.workers import detached

FOLDER, ASKED = ".sweeps", "sweep.json"


def folder_of(asked: Mapping[str, Any], runs: Path) -> Path:
    """Where the sweep with these fields (see `make_sweep`) is kept: the same fields, the same folder."""
    name = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:12]
    return runs / FOLDER / name


def kept_sweeps(runs: Path) -> list[Path]:
    """The folders of the sweeps that were started here, the newest first."""
    files = [(file.stat().st_mtime, file.parent) for file in (runs / FOLDER).glob(f"*/{ASKED}")]
    return [folder for _, folder in sorted(files, reverse=True)]


def request_of(folder: Path) -> dict[str, Any]:
    """The fields of the sweep in this folder; UserError where they cannot be read."""
    found = read_object(folder / ASKED)
    if found is None:
        raise UserError(f"the sweep {folder.name!r} cannot be read; start it anew")
    return found


def begin(asked: Mapping[str, Any], runs: Path) -> Path:
    """Start the sweep, or find it at work; returns its folder. What is finished is not computed again."""
    folder = folder_of(asked, runs)
    if is_at_work(folder):
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / ASKED, json.dumps(dict(asked)).encode())
    detached.begin(folder, ["sweep", str(folder / ASKED), "--runs", str(runs), "--json"])
    return folder


def is_at_work(folder: Path) -> bool:
    """Whether the sweep's process is there, on this machine."""
    return detached.is_at_work(folder, str(folder / ASKED))


def stop(folder: Path) -> None:
    """Have the sweep end and cancel the runs that it asked for; what is finished stays."""
    detached.interrupt(folder, str(folder / ASKED))
