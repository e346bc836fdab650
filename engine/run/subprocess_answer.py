"""An answer of `python -m engine`, found in a process of its own: for pages, which import no torch."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.core.errors import UserError
from engine.run.machine.environment import worker_environment

_ROOT = Path(__file__).parents[2]


class CommandError(RuntimeError):
    """The process ended on a defect, or was ended; `said` is the end of what it had to say."""

    def __init__(self, command: str, said: str, status: int = 1) -> None:
        lines = said.strip().splitlines()
        if lines:
            last = lines[-1].removeprefix("failed: ")
        elif status < 0:
            last = f"the system ended it (signal {-status}), perhaps for want of memory"
        else:
            last = "it ended without a word"
        self.said, self.line = said, f"`engine {command}` broke: {last[:600]}"
        super().__init__(self.line)


def answer_of(
    *words: str, environment: Mapping[str, str] | None = None, patience_s: float | None = None
) -> dict[str, Any]:
    """What `python -m engine WORDS` prints as JSON on its last line.

    UserError with the command's own line where it refuses, CommandError where it breaks, and
    subprocess.TimeoutExpired after `patience_s` seconds.
    """
    done = subprocess.run(
        [sys.executable, "-m", "engine", *words], cwd=_ROOT, capture_output=True, text=True,
        check=False, stdin=subprocess.DEVNULL, timeout=patience_s,
        env=worker_environment() | dict(environment or {}),
    )  # fmt: skip
    lines = done.stderr.strip().splitlines()
    if done.returncode == 2 and lines:
        raise UserError(lines[-1])
    try:
        answer = json.loads(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        answer = None
    if done.returncode or not isinstance(answer, dict):
        raise CommandError(words[0], done.stderr.strip()[-2000:], done.returncode)
    return answer
