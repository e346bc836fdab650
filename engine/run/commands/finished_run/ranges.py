"""`ranges`: which images set a layer's range, and what the layer gains without each."""

import argparse
import json
from collections.abc import Callable
from typing import Any

from engine.run.commands.finished_run.answered import Question, answered
from engine.run.commands.printed.tables import table


def add_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add it to the command line; `add` takes its name, what it does, and a line on it."""
    text = "say which images set a layer's range, and what the layer gains without each"
    add("ranges", ranges, text).add_argument("run", metavar="RUN")


def ranges(options: argparse.Namespace) -> int:
    found = answered(options, "ranges", _question)
    told = {name: value for name, value in found.items() if name != "pictures"}
    print(json.dumps(told) if options.json else _as_text(found["ranges"]))
    return 0


def _question() -> Question:
    from engine.run.questions.doctor.leave_one_out import ranges

    return ranges


def _as_text(ranges: list[dict[str, Any]]) -> str:
    if not ranges:
        return "No layer of this run has an even grid whose range images could set."
    head = ("layer", "step", "image", "reaches", "step without it", "gain of the others, dB")
    rows = [
        (
            layer["layer"], f"{layer['step']:.3g}", str(one["image"]), f"{one['reach']:.3g}",
            f"{one['step']:.3g}", f"{one['sqnr_without_db'] - one['sqnr_db']:+.2f}",
        )
        for layer in ranges
        for one in layer["images"]
    ]  # fmt: skip
    return table([head, *rows])
