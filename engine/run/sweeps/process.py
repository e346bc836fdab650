"""A sweep as a process of its own, which goes on when whoever started it is gone. Imports no torch.

That of a command line is such a process too: pages list it, follow it and stop it as their own.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.core.errors import UserError
from engine.core.outside.reading import read_object
from engine.run.folders.files import write_atomically
from engine.run.workers import detached

FOLDER, ASKED = ".sweeps", "sweep.json"
COMMAND = "sweep"  # of `python -m engine`: a word of every process that works through one


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
    _keep(asked, folder)
    detached.begin(folder, [COMMAND, str(folder / ASKED), "--runs", str(runs), "--json"])
    return folder


def enter(asked: Mapping[str, Any], runs: Path) -> Path:
    """Say that this process works through the sweep, unless another does; returns its folder."""
    folder = folder_of(asked, runs)
    if not is_at_work(folder):
        _keep(asked, folder)
        detached.write_pid(folder, os.getpid())
    return folder


def _keep(asked: Mapping[str, Any], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / ASKED, json.dumps(dict(asked)).encode())


def is_at_work(folder: Path) -> bool:
    """Whether the sweep's process is there, on this machine."""
    return detached.is_at_work(folder, COMMAND)


def stop(folder: Path) -> None:
    """Have the sweep end and cancel the runs that it asked for; what is finished stays."""
    detached.interrupt(folder, COMMAND)
