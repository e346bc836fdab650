"""What the commands share: where the runs are, what there is to choose from, how rows are printed."""

import argparse
import json
import os
import signal
import threading
from math import isfinite, nan
from pathlib import Path
from typing import Any

from engine.run.commands.printed.tables import table
from engine.run.recipes.settings import as_text


def runs_folder(options: argparse.Namespace) -> Path:
    """--runs, else QUANTOSCOPE_RUNS, else `runs/` in the project's folder."""
    chosen = options.runs or os.environ.get("QUANTOSCOPE_RUNS")
    return Path(chosen).resolve() if chosen else Path(__file__).parents[4] / "runs"


def hear_interrupts() -> None:
    """Make Ctrl-C's signal stop this process, also where whoever began it had it ignored."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)


def load_catalog(options: argparse.Namespace) -> dict[str, Any]:
    """Networks, methods and their settings, those of the user's own networks among them."""
    from engine.run.catalog import load

    return load(runs_folder(options))


def whole_number(text: str) -> int:
    """Reads an option's whole number, for argparse; what is out of range is told later, by the recipe."""
    try:
        return int(text)
    except ValueError:  # of thousands of digits too
        raise argparse.ArgumentTypeError(f"{as_text(text)} is no whole number") from None


def finite_number(text: str) -> float:
    """Reads a number, for argparse; ArgumentTypeError for what is none, or has no end."""
    try:
        number = float(text)
    except ValueError:
        number = nan
    if not isfinite(number):
        raise argparse.ArgumentTypeError(f"{as_text(text)} is no finite number")
    return number


def print_rows(
    options: argparse.Namespace, rows: list[dict[str, Any]], none: str = "none yet"
) -> int:
    """Print a table, or JSON where that is asked for, `none` without rows; returns the exit status."""
    if options.json:
        print(json.dumps(rows))
    elif rows:
        print(table([list(rows[0]), *([_cell(v) for v in row.values()] for row in rows)]))
    else:
        print(none)
    return 0


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, (list, tuple)):
        return " x ".join(map(str, value)) or "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
