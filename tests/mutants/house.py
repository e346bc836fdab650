"""A private copy of the project in which changes are made, and a process that tries them there.

The process loads what is large and never changed (torch, pytest) once; each change is tried in a fork
of it, which imports the changed project afresh.
"""

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.mutants.changes import ROOT, Mutant

PATIENCE_S = 600  # for the tests of one change; a change that hangs them is noticed
BROKEN = 70  # of the fork, where pytest itself ends in an exception
SUSPICIOUS = (
    3,
    4,
    5,
    BROKEN,
)  # pytest broke, or does not know the tests: perhaps without the change too
LARGE = (
    "torch",
    "torch.fx",
    "torch.func",
    "scipy.optimize",
    "pytest",
    "safetensors.torch",
)


class House:
    """A copy of the project, and the process that tries changes in it, one at a time."""

    def __init__(self, folder: Path) -> None:
        for part in ("engine", "tests"):
            shutil.copytree(
                ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__")
            )
        shutil.copy(ROOT / "pyproject.toml", folder)
        (folder / "assets").symlink_to(ROOT / "assets")
        # A changed file is told from its compiled twin by content: by time, within a second, it is not.
        subprocess.run(
            [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "checked-hash",
             str(folder / "engine")], check=True,
        )  # fmt: skip
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.mutants.house"],
            cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip

    def is_caught(self, mutant: Mutant, tests: list[str]) -> bool:
        """Whether a test fails (or hangs) with the change made."""
        file = self.folder / mutant.file
        whole = file.read_bytes()
        file.write_bytes(whole[: mutant.start] + mutant.text.encode() + whole[mutant.stop :])
        try:
            status = self.status(tests)
        finally:
            file.write_bytes(whole)
        if status in SUSPICIOUS and self.status(tests) == status:
            raise RuntimeError(f"pytest ends with {status} whatever is changed, for {tests}")
        return status != 0

    def status(self, tests: list[str]) -> int:
        """The exit status of some tests, stopped at the first failure."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(tests) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def serve() -> None:
    """For each line of tests on standard input, their exit status on standard output."""
    for name in LARGE:
        importlib.import_module(name)
    sys.path.insert(0, str(Path.cwd()))
    for line in sys.stdin:
        print(_status_of(json.loads(line)), flush=True)


def _status_of(tests: list[str]) -> int:
    child = os.fork()
    if child == 0:
        _run(tests)
    ends = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -signal.SIGKILL


def _run(tests: list[str]) -> None:
    """In the fork: a group of its own, so that what it starts ends with it; no word to the terminal."""
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    import pytest  # loaded above

    status = BROKEN
    try:
        options = ("-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:cov")
        status = int(pytest.main([*options, *tests]))
    finally:
        os._exit(status)


if __name__ == "__main__":
    serve()
