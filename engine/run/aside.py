"""An answer of `python -m engine`, found in a process of its own: for pages, which import no torch."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.core.errors import UserError

_ROOT = Path(__file__).parents[2]


class CommandError(RuntimeError):
    """The process ended on a defect, or was ended; `said` is the end of what it had to say."""

    def __init__(self, command: str, said: str) -> None:
        super().__init__(f"`engine {command}` broke:\n{said}")
        self.said = said


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
        env=dict(os.environ) | dict(environment or {}),
    )  # fmt: skip
    if done.returncode == 2:
        raise UserError(done.stderr.strip().splitlines()[-1])
    if done.returncode:
        raise CommandError(words[0], done.stderr.strip()[-2000:])
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer
