"""A sweep as a process of its own, which goes on when whoever started it is gone. Imports no torch."""

import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from engine.core.errors import UserError
from engine.core.reading import read_object
from engine.run.folders.files import write_atomically
from engine.run.machine import processes

FOLDER, ASKED, PROCESS = ".sweeps", "sweep.json", "process.json"


def folder_of(asked: Mapping[str, Any], runs: Path) -> Path:
    """Where the sweep with these fields (see `make_sweep`) is kept: the same fields, the same folder."""
    name = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:12]
    return runs / FOLDER / name


def kept_sweeps(runs: Path) -> list[Path]:
    """The folders of the sweeps that were started here, the newest first."""
    files = [(file.stat().st_mtime, file.parent) for file in (runs / FOLDER).glob(f"*/{ASKED}")]
    return [folder for _, folder in sorted(files, reverse=True)]


def asked_of(folder: Path) -> dict[str, Any]:
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
    file = str(folder / ASKED)
    words = [sys.executable, "-m", "engine", "sweep", file, "--runs", str(runs), "--json"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            words, cwd=Path(__file__).parents[3], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    told = {"pid": process.pid, "born": processes.born(process.pid), "host": processes.HOST}
    write_atomically(folder / PROCESS, json.dumps(told).encode())
    return folder


def is_at_work(folder: Path) -> bool:
    """Whether the sweep's process is there, on this machine."""
    return _process(folder) is not None


def stop(folder: Path) -> None:
    """Have the sweep end and cancel the runs that it asked for; what is finished stays."""
    process = _process(folder)
    if process is not None:
        process.send_signal(signal.SIGINT)


def _process(folder: Path) -> psutil.Process | None:
    """The process that executes this sweep: a number in a file alone is not believed."""
    told = read_object(folder / PROCESS) or {}
    began = processes.born(told.get("pid"))
    if began is None or began != told.get("born") or told.get("host") != processes.HOST:
        return None
    try:
        process = psutil.Process(told["pid"])
        return process if str(folder / ASKED) in process.cmdline() else None
    except psutil.Error:
        return None
