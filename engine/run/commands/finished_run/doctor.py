"""`doctor`: what is wrong with a finished run, what to change, and what came of it."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.core.errors import UserError
from engine.run.commands.printed.common import hear_interrupts, runs_folder
from engine.run.commands.printed.progress import Progress, show_all
from engine.run.folders.folder import RunFolder
from engine.run.questions.doctor import answers
from engine.run.questions.doctor.cure.cure import ALL, cure
from engine.run.questions.doctor.cure.kept import LOOKS
from engine.run.recipes.recipe import Recipe
from engine.run.workers import launch


def add_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add it to the command line; `add` takes its name, what it does, and a line on it."""
    parser = add("doctor", doctor, "say what is wrong with a finished run, and what to change")
    parser.add_argument("run", metavar="RUN")
    parser.add_argument(
        "--try", dest="attempt", metavar="RULE",
        help="run the change that this rule proposes, and tell what it gained; `all`: one change after "
        "another, each kept that helped, until nothing helps any more",
    )  # fmt: skip
    parser.add_argument(
        "--layer", metavar="PATH", help="with --try, the rule's finding at this layer"
    )


def _check(options: argparse.Namespace) -> None:
    """UserError for an option that says nothing, or that nothing would look at."""
    attempt, layer = options.attempt, options.layer
    if attempt is not None and not attempt.strip():
        raise UserError(
            "--try is empty; give the name of a rule, as the findings have it in brackets, or all"
        )
    if layer is not None and not layer.strip():
        raise UserError("--layer is empty; give the path of a layer, as the findings name it")
    if layer is not None and attempt is None:
        raise UserError(
            f"--layer {layer!r} is given without --try; give --try RULE too, or leave it out"
        )
    if layer is not None and attempt == ALL:
        raise UserError(
            f"--layer {layer!r} is given with --try {ALL}, which looks at every layer; give --try RULE, or "
            "leave it out"
        )


def doctor(options: argparse.Namespace) -> int:
    _check(options)
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

    if options.attempt == ALL:
        found = {"cure": _cured(folder, progress, work)}
        found = answers.doctor(folder, find=find) | found
    else:
        found = answers.doctor(
            folder, options.attempt or "", options.layer or "", find=find, work=work
        )
    print(json.dumps(found) if options.json else _as_text(found))
    return 0


def _cured(folder: RunFolder, progress: Progress, work: answers.Work) -> dict[str, Any]:
    hear_interrupts()  # how a page stops it

    def tell(kept: dict[str, Any]) -> None:
        if kept["doing"] == LOOKS:
            progress.line(f"the doctor looks at run {kept['run']}")
        elif kept["doing"]:
            step = kept["steps"][-1]
            progress.line(f"change {len(kept['steps'])}: {step['change']}")

    return cure(folder, work=work, tell=tell)


def _as_text(found: dict[str, Any]) -> str:
    lines = []
    for place, one in enumerate(found["findings"], 1):
        where = f" at {one['layer']}" if one["layer"] else ""
        lines.append(f"{place}. [{one['severity']}] {one['title']}{where} ({one['rule']})")
        lines.append(f"   {one['cause']}")
        if one["change"]:
            gain = one["predicted_gain"]
            advice = "Try" if gain is None or gain > 0 else "Predicted not to help"
            lines.append(f"   {advice}: {one['change']['words']}{_predicted(one)}.")
        if one["tried"]:
            tried = one["tried"]
            measured = _gain(tried["measured_gain"], tried["unit"], tried.get("measured_band"))
            lines.append(f"   Tried in run {one['tried']['run']}: measured gain {measured}.")
        if one["track"]:
            lines.append(f"   This rule so far: {one['track']['words']}")
        lines.append(f"   Source: {one['source']}.")
    lines += ["", *found["notes"], found["sentence"]]
    return "\n".join([*lines, *(_course(found["cure"]) if "cure" in found else [])]).strip()


def _course(cured: dict[str, Any]) -> list[str]:
    """What was tried, in order, and what came of it."""
    lines = ["", "Tried, one change on top of those that helped:"]
    for place, one in enumerate(cured["steps"], 1):
        gain = (
            "no result"
            if one["measured_gain"] is None
            else _gain(one["measured_gain"], one["unit"])
        )
        lines.append(
            f"{place}. {one['change']}: {'helped' if one['helped'] else 'did not help'}, {gain}"
        )
        lines.append(f"   Run {one['run']}.")
    lines.append(f"{cured['ended']}.")
    before, after = cured["before"], cured["after"]
    if after and after["run"] != cured["of"]:
        lines.append(f"Best: run {after['run']}; {_change(before, after)}.")
    return lines


def _change(before: dict[str, Any], after: dict[str, Any]) -> str:
    names = {"top1": "top-1", "kl": "KL", "sqnr_db": "SQNR of the outputs", "size_bytes": "bytes"}
    return ", ".join(
        f"{name} {before[key]:.6g} to {after[key]:.6g}"
        for key, name in names.items()
        if before[key] is not None and after[key] is not None
    )


def _predicted(one: dict[str, Any]) -> str:
    if one.get("untold"):  # answers of an older version have none
        return f" (what it gains cannot be told: {one['untold'].rstrip('.')})"
    if one["predicted_gain"] is None:
        return " (what it gains cannot be told before)"
    return f"; predicted gain {_gain(one['predicted_gain'], one['unit'], one['band'])}"


def _gain(value: float, unit: str, band: list[float] | None = None) -> str:
    return f"{value:.4g} {unit}" + (
        "" if band is None else " (95 %: {:.4g} to {:.4g})".format(*band)
    )
