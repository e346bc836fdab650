"""`doctor`: what is wrong with a finished run, what to change, and what came of it."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.run.commands.common import runs_folder
from engine.run.commands.progress import Progress, show_all
from engine.run.folders.folder import RunFolder
from engine.run.questions.doctor import answers
from engine.run.recipes.recipe import Recipe
from engine.run.workers import launch


def add_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add it to the command line; `add` takes its name, what it does, and a line on it."""
    parser = add("doctor", doctor, "say what is wrong with a finished run, and what to change")
    parser.add_argument("run", metavar="RUN")
    parser.add_argument(
        "--try", dest="attempt", default="", metavar="RULE",
        help="run the change that this rule proposes, and tell what it gained",
    )  # fmt: skip
    parser.add_argument(
        "--layer", default="", metavar="PATH", help="with --try, the rule's finding at this layer"
    )


def doctor(options: argparse.Namespace) -> int:
    folder = RunFolder.open(runs_folder(options), options.run)
    progress = Progress(runs=options.runs)

    def find() -> dict[str, Any]:
        from engine.run.questions.doctor.doctor import (
            doctor,
        )  # torch, which a kept answer does not need
        from engine.run.workers.worker import settle_in

        settle_in()
        return doctor(folder, progress.counted)

    def work(recipe: Recipe, runs: Path) -> RunFolder:
        started = launch.start(recipe, runs)
        progress.line(f"run {started.run_id} in {started.path}")
        try:
            show_all(started, progress)
        except KeyboardInterrupt:
            launch.cancel(started)
            raise
        return started

    found = answers.doctor(folder, options.attempt, options.layer, find=find, work=work)
    print(json.dumps(found) if options.json else _told(found))
    return 0


def _told(found: dict[str, Any]) -> str:
    lines = []
    for place, one in enumerate(found["findings"], 1):
        where = f" at {one['layer']}" if one["layer"] else ""
        lines.append(f"{place}. [{one['severity']}] {one['title']}{where} ({one['rule']})")
        lines.append(f"   {one['cause']}")
        if one["change"]:
            lines.append(f"   Try: {one['change']['words']}{_predicted(one)}.")
        if one["tried"]:
            gain = _gain(one["tried"]["measured_gain"], one["tried"]["unit"])
            lines.append(f"   Tried in run {one['tried']['run']}: measured gain {gain}.")
        if one["track"]:
            lines.append(f"   This rule so far: {one['track']['words']}")
        lines.append(f"   Source: {one['source']}.")
    return "\n".join([*lines, "", *found["notes"], found["sentence"]]).strip()


def _predicted(one: dict[str, Any]) -> str:
    if one["predicted_gain"] is None:
        return " (what it gains cannot be told before)"
    band = "" if one["band"] is None else " (95 %: {:.4g} to {:.4g})".format(*one["band"])
    return f"; predicted gain {_gain(one['predicted_gain'], one['unit'])}{band}"


def _gain(value: float, unit: str) -> str:
    return f"{value:.4g} {unit}"
