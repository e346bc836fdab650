"""Diagnoses, estimates and layer costs for pages: what is kept at once, what is missing in the background."""

import json
from typing import Any

from app.engine_calls.background import Answer, ask, is_asked
from app.engine_calls.recipes import recipe_of
from app.run_files.run_folders import runs_folder
from engine.core.errors import UserError
from engine.run.folders.folder import RunFolder
from engine.run.questions.before_a_run import diagnose
from engine.run.questions.before_a_run import estimate as estimates
from engine.run.questions.costs import layer_costs
from engine.run.questions.doctor import answers as doctor
from engine.run.recipes.recipe import PRESETS, Recipe


def diagnosis(recipe: Recipe) -> Answer:
    """The diagnosis of the recipe's network."""
    kept = diagnose.kept(runs_folder(), recipe)
    if kept is not None:
        return Answer(value=kept)
    return ask("diagnose", _network(recipe), lambda: diagnose.load(runs_folder(), recipe))


def known_estimate(recipe: Recipe) -> Answer | None:
    """The estimate by finished runs or by steps that were measured before; None where there are none."""
    pace = estimates.kept_pace(runs_folder(), recipe)
    known = estimates.estimate(recipe, runs_folder(), pace)
    return Answer(value=known) if known["total_s"] is not None else None


def estimate(recipe: Recipe) -> Answer:
    """The estimate for the recipe; by finished runs where they say enough, else by measured steps."""
    known = known_estimate(recipe)
    if known is not None:
        return known
    asked = pace_of(recipe)
    if asked.value is None:
        return asked
    return Answer(value=estimates.estimate(recipe, runs_folder(), asked.value))


def pace_of(recipe: Recipe) -> Answer:
    """The recipe's measured steps."""
    kept = estimates.kept_pace(runs_folder(), recipe)
    if kept is not None:
        return Answer(value=kept)
    about = json.dumps([recipe.synthesis, recipe.quantization, _network(recipe)])
    return ask("pace", about, lambda: estimates.pace_of(runs_folder(), recipe))


def layer_cost(folder: RunFolder, *, wanted: bool) -> Answer | None:
    """What each layer costs a finished run; None where it is neither kept, asked for, nor `wanted`."""
    kept = layer_costs.kept(folder)
    if kept is not None:
        return Answer(value=kept)
    key = str(folder.path)
    if not wanted and not is_asked("analyse", key):
        return None
    return ask("analyse", key, lambda: layer_costs.load(folder))


def doctor_says(folder: RunFolder, *, wanted: bool) -> Answer | None:
    """The doctor's findings; None where they are neither kept, asked for, nor `wanted`."""
    kept = doctor.kept_doctor(folder)
    if kept is not None:
        return Answer(value=kept)
    key = str(folder.path)
    if not wanted and not is_asked("doctor", key):
        return None
    return ask("doctor", key, lambda: doctor.doctor(folder))


def _network(recipe: Recipe) -> str:
    parts = (recipe.model, recipe.model_settings, recipe.weights, recipe.data, recipe.contents)
    return json.dumps(parts, sort_keys=True)


def at_presets(catalog: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Recipe]:
    """The recipe at every preset, with that preset's own budget; without those that make none."""
    recipes = {}
    for preset in PRESETS:
        try:
            recipes[preset] = recipe_of(catalog, **wanted | {"preset": preset, "images": None})
        except UserError:
            continue
    return recipes
