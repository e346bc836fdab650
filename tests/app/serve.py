"""`python -m tests.app.serve run app/serve.py ...`: Streamlit for tests in a browser; no pace is measured.

The paces of all cards take a minute of every core, for each server that a test starts. As long as the runs
folder holds a file `.measuring`, each is on its way.
"""

import time
from pathlib import Path
from typing import Any

from streamlit.web import cli

from engine.run.questions.before_a_run import estimate
from tests.app.known_pace import MEASURING, PACE


def kept(runs: Path, _recipe: Any) -> dict[str, Any] | None:
    """The pace, unless it is being measured."""
    return None if (runs / MEASURING).exists() else PACE


def measured(runs: Path, _recipe: Any) -> dict[str, Any]:
    """The pace, once it is no longer being measured."""
    while (runs / MEASURING).exists():
        time.sleep(0.1)
    return PACE


if __name__ == "__main__":
    estimate.kept_pace, estimate.pace_of = kept, measured
    cli.main()
