"""`tensors`: look inside one layer of a finished run, at what it reads, its weights and its feature maps."""

import argparse
import json
from collections.abc import Callable
from functools import partial
from typing import Any

from engine.core.percent import percent
from engine.run.commands.finished_run.answered import Question, Tell, answered
from engine.run.commands.printed.tables import table
from engine.run.folders.folder import RunFolder


def add_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add it to the command line; `add` takes its name, what it does, and a line on it."""
    text = "look inside one layer of a finished run: its input on its grid, its weights, its feature maps"
    asked = add("tensors", tensors, text)
    asked.add_argument("run", metavar="RUN")
    asked.add_argument("--layer", metavar="PATH", required=True, help="as `explain` lists them")


def tensors(options: argparse.Namespace) -> int:
    found = answered(options, "tensors", partial(_question, options.layer), options.layer)
    print(json.dumps(found) if options.json else _as_text(found))
    return 0


def _question(layer: str) -> Question:
    from engine.run.questions.why.tensors import tensors

    def of_layer(folder: RunFolder, tell: Tell) -> dict[str, Any]:
        return tensors(folder, layer, tell)

    return of_layer


def _as_text(found: dict[str, Any]) -> str:
    head = ("input from", "least", "greatest", "clipped", "SQNR of rounding, dB")
    rows = [
        (
            one["title"], f"{min(one['channels']['low']):.4g}", f"{max(one['channels']['high']):.4g}",
            percent(one['clipped'], 2), f"{one['sqnr_db']:.1f}",
        )
        for one in found["input"]["sources"]
    ]  # fmt: skip
    output = f"output, student against float network: {found['output']['sqnr_db']:.1f} dB"
    said = found["sentences"].values()
    return "\n".join([table([head, *rows]), "", output, *found["notes"], *said])
