"""`diagnose`, `estimate`, `pace`: what is asked before a run."""

import argparse
import json
import os

from engine.run.commands.printed.common import load_catalog, runs_folder
from engine.run.commands.printed.diagnosis import diagnosis_text, estimate_text
from engine.run.commands.recipe import recipe_of
from engine.run.networks import networks_folder


def diagnose(options: argparse.Namespace) -> int:
    catalog = load_catalog(options)
    recipe = recipe_of(options, catalog, runs_folder(options))
    from engine.run.questions.before_a_run.diagnose import joined
    from engine.run.questions.before_a_run.examine import collect

    answer = joined(collect(recipe, networks_folder(runs_folder(options))), recipe, catalog)
    print(json.dumps(answer) if options.json else diagnosis_text(answer))
    return 0


def estimate(options: argparse.Namespace) -> int:
    from engine.run.questions.before_a_run import estimate

    runs = runs_folder(options)
    recipe = recipe_of(options, load_catalog(options), runs)
    answer = estimate.estimate(recipe, runs, estimate.pace_of(runs, recipe))
    print(json.dumps(answer) if options.json else estimate_text(answer))
    return 0


def pace(options: argparse.Namespace) -> int:
    from engine.run.questions.before_a_run.pace import measure
    from engine.run.workers.worker import settle_in

    runs = runs_folder(options)
    os.environ["QUANTOSCOPE_NETWORKS"] = str(networks_folder(runs))
    settle_in()
    print(json.dumps(measure(recipe_of(options, load_catalog(options), runs), options.part)))
    return 0
