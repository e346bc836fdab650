"""A command with all the processes that it begins: seconds of the processor, and by the clock."""

import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from engine.run.benches.speed.interleaved import Sample

_LOOK_EVERY_S = 0.1
ROOT = Path(__file__).parents[4]


def timed_command(
    command: Sequence[str], environment: Mapping[str, str] | None = None
) -> tuple[Sample, str]:
    """(what it took, its standard output); the processes below it are counted as they were last seen."""
    with tempfile.TemporaryFile("w+") as printed:  # a pipe that nobody reads would fill up
        start = time.perf_counter()
        process = psutil.Popen(
            list(command), cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=printed,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        spent: dict[int, float] = {}
        while process.poll() is None:
            _look(process, spent)
            time.sleep(_LOOK_EVERY_S)
        wall = time.perf_counter() - start
        printed.seek(0)
        return Sample(sum(spent.values()), wall), printed.read()


def _look(process: psutil.Process, spent: dict[int, float]) -> None:
    """Write down what each process has had of the processor so far."""
    try:
        for one in (process, *process.children(recursive=True)):
            times = one.cpu_times()
            spent[one.pid] = times.user + times.system
    except psutil.Error:  # one has just ended: it was seen a moment ago
        return
