"""A command of the engine as a process of its own, which goes on when whoever began it is gone.

Its folder holds `process.json` (who it is) and `log` (what it said). Imports no torch.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil

from engine.core.outside.reading import read_object
from engine.run.folders.files import write_atomically
from engine.run.machine import processes

PROCESS = "process.json"


def begin(folder: Path, words: Sequence[str]) -> None:
    """Run `python -m engine WORDS` for this folder, whose path is one of the words."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "engine", *words], cwd=Path(__file__).parents[3],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    write_pid(folder, process.pid)


def write_pid(folder: Path, pid: int) -> None:
    """Keep who does this folder's work."""
    told = {"pid": pid, "born": processes.born(pid), "host": processes.HOST}
    write_atomically(folder / PROCESS, json.dumps(told).encode())


def is_at_work(folder: Path, word: str) -> bool:
    """Whether the folder's process is there, on this machine; `word`: one of those it was begun with."""
    return _process(folder, word) is not None


def interrupt(folder: Path, word: str) -> None:
    """Have the process end as by Ctrl-C, where it is there."""
    process = _process(folder, word)
    if process is not None:
        process.send_signal(signal.SIGINT)


def _process(folder: Path, word: str) -> psutil.Process | None:
    """The process that does this folder's work: a number in a file alone is not believed."""
    told = read_object(folder / PROCESS) or {}
    began = processes.born(told.get("pid"))
    if began is None or began != told.get("born") or told.get("host") != processes.HOST:
        return None
    try:
        process = psutil.Process(told["pid"])
        return process if word in process.cmdline() else None
    except psutil.Error:
        return None
