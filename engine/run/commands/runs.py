"""`run`, `pause`, `resume`, `fork`, `cancel`, `delete`, `analyse`: what works on one run."""

import argparse
import json
import time
from pathlib import Path

from engine.core.errors import UserError
from engine.run.commands.printed.common import load_catalog, print_rows, runs_folder
from engine.run.commands.printed.progress import Progress, attend
from engine.run.commands.recipe import parse_settings, recipe_of
from engine.run.folders.folder import RunFolder
from engine.run.recipes.recipe import Recipe
from engine.run.workers import launch

PATIENCE_S = 20.0  # for a step to end
_TOLD = (
    "rank", "path", "kl_gain", "kl_gain_low", "kl_gain_high", "weights_kl_gain", "input_kl_gain",
    "agreement_gain", "top1_gain", "top1_gain_low", "top1_gain_high",
)  # fmt: skip  # of an analysis, to a person; --json has all


def run(options: argparse.Namespace) -> int:
    runs = runs_folder(options)
    recipe = recipe_of(options, load_catalog(options), runs)
    if options.within:
        recipe = in_time(recipe, options, runs)
    offset = _size(RunFolder(runs / recipe.run_id))
    folder = launch.start(recipe, runs)
    return attend(folder, offset, options)


def in_time(recipe: Recipe, options: argparse.Namespace, runs: Path) -> Recipe:
    """The recipe with as many images and steps as the time of --within allows."""
    from engine.run.questions.before_a_run.time_budget import seconds_in, total_words, within

    seconds = seconds_in(options.within)
    given: dict[str, set[str]] = {
        kind: set(values) for kind, values in parse_settings(options.settings).items()
    }
    given["recipe"] = {"images"} if options.images is not None else set()
    chosen = within(recipe, seconds, runs, given)
    Progress().line(total_words(chosen))
    return chosen


def resume(options: argparse.Namespace) -> int:
    folder = RunFolder.open(runs_folder(options), options.run)
    offset = _size(folder)
    launch.resume(folder)
    return attend(folder, offset, options)


def fork(options: argparse.Namespace) -> int:
    from engine.run.fork import fork

    source = RunFolder.open(runs_folder(options), options.run)
    settings = parse_settings(options.settings)
    other = [kind for kind, values in settings.items() if values and kind != "synthesis"]
    if other:
        raise UserError(f"a fork cannot change {other[0]} settings; give synthesis.NAME=VALUE")
    folder = fork(source, settings["synthesis"], load_catalog(options))
    return attend(folder, 0, options)


def cancel(options: argparse.Namespace) -> int:
    folder = RunFolder.open(runs_folder(options), options.run)
    launch.cancel(folder)
    return _tell_state(folder, options)


def delete(options: argparse.Namespace) -> int:
    folder = RunFolder.find(runs_folder(options), options.run)
    folder.delete()
    print(json.dumps({"run": folder.run_id, "state": "deleted"}) if options.json else "deleted")
    return 0


def pause(options: argparse.Namespace) -> int:
    """Ask for the pause, and wait a while for the step at work to end."""
    folder = RunFolder.open(runs_folder(options), options.run)
    launch.pause(folder)
    end = time.monotonic() + PATIENCE_S
    while folder.status()["state"] in ("starting", "running") and time.monotonic() < end:
        time.sleep(0.05)
    return _tell_state(folder, options)


def _tell_state(folder: RunFolder, options: argparse.Namespace) -> int:
    state = folder.status()["state"]
    print(json.dumps({"run": folder.run_id, "state": state}) if options.json else state)
    return 0


def analyse(options: argparse.Namespace) -> int:
    folder = RunFolder.open(runs_folder(options), options.run)
    if options.images < 1:
        raise UserError(f"--images is {options.images}; give 1 or more")
    from engine.run.questions.costs.analyse import (
        analyse,  # torch, which the other commands do not need
    )
    from engine.run.workers.worker import settle_in

    settle_in()
    found = analyse(folder, options.images, tell=Progress().counted)
    if options.json:
        print(json.dumps(found))
        return 0
    # A gain that may be chance has no place among the others: it stands below them.
    layers = sorted(found["layers"], key=lambda layer: layer["rank"] or len(found["layers"]) + 1)
    return print_rows(options, [{name: layer[name] for name in _TOLD} for layer in layers])


def _size(folder: RunFolder) -> int:
    """The bytes of events that are there before the worker adds its own."""
    return folder.events_file.stat().st_size if folder.events_file.exists() else 0
