"""`compare`: which of two finished runs is better, and whether that may be chance."""

import argparse
import json
from collections.abc import Callable
from typing import Any

from engine.core.errors import UserError
from engine.run.commands.printed.common import runs_folder
from engine.run.folders.folder import RunFolder
from engine.run.questions.better import better
from engine.run.questions.why.askable import refuse_unfinished


def add_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add it to the command line; `add` takes its name, what it does, and a line on it."""
    text = (
        "which of two finished runs is better, by the same test images or pairs, and is it chance"
    )
    parser = add("compare", compare, text)
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("other", metavar="OTHER")


def compare(options: argparse.Namespace) -> int:
    runs = runs_folder(options)
    names = (options.run, options.other)
    mine, its = (_result(RunFolder.open(runs, name)) for name in names)
    found = better(mine, its, names)
    if found["by"] is None:
        raise UserError(
            f"runs {options.run!r} and {options.other!r} are not both judged by labelled images: give both "
            "the same --data with labels, or see `similarity` for their weights"
        )
    told = {"run": options.run, "other": options.other} | found
    print(json.dumps(told) if options.json else found["sentence"].replace("**", ""))
    return 0


def _result(folder: RunFolder) -> dict[str, Any]:
    result = folder.result()
    if result is None:
        refuse_unfinished(folder)
    assert result is not None
    return result
