"""`sensitivities`: which layers of a finished run mind losing bits, by four measures and their agreement."""

import argparse
import json
from collections.abc import Callable
from typing import Any

from engine.run.commands.finished_run.answered import Question, answered
from engine.run.commands.printed.tables import table

SHOWN = "4"  # bits that the printed ranks are of; --json has all


def add_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add it to the command line; `add` takes its name, what it does, and a line on it."""
    text = "rank a finished run's layers by four measures of sensitivity, with their agreement and cost"
    add("sensitivities", sensitivities, text).add_argument("run", metavar="RUN")


def sensitivities(options: argparse.Namespace) -> int:
    found = answered(options, "sensitivities", _question)
    print(json.dumps(found) if options.json else _as_text(found))
    return 0


def _question() -> Question:
    from engine.run.questions.costs.sensitivities import sensitivities

    return sensitivities


def _as_text(found: dict[str, Any]) -> str:
    kinds = found["measures"]
    ranks = [
        (row["path"], *(f"{row['ranks'][kind][SHOWN]:g}" for kind in kinds))
        for row in found["layers"]
    ]
    pairs = [
        (f"{one['a']}, {one['b']}", _signed(one["spearman"]), _signed(one["kendall"]))
        for one in found["agreement"]
    ]
    seconds = [(kind, f"{found['seconds'][kind]:.3g}") for kind in ("fitting", *kinds)]
    parts = [
        table([(f"rank at {SHOWN} bits", *kinds), *ranks]),
        table([("mean over widths", "Spearman", "Kendall"), *pairs]),
        table([("measure", "seconds"), *seconds]),
        "\n".join([*found["notes"], found["sentence"]]),
    ]
    return "\n\n".join(parts)


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}"
