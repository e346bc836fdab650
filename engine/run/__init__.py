"""Runs: the only package that knows all the others, and the only one that the app may call.

    from engine import run

    recipe = run.new_recipe(
        model="resnet20-fashion", synthesis="genie", quantization="quantoscope", weight_bits=2, preset="quick"
    )
    folder = run.start(recipe, run.RUNS)
    for event in run.follow(folder):
        print(event)
    print(folder.result()["quantized_top1"])

Importing this imports no torch: the work is done in a process of its own.
"""

from pathlib import Path
from typing import Any

from engine.run.catalog import load as load_catalog
from engine.run.folders.folder import RunFolder, list_runs
from engine.run.folders.tail import follow
from engine.run.recipes.recipe import Recipe, make_recipe
from engine.run.workers.launch import cancel, resume, start

RUNS = Path("runs")

__all__ = [
    "RUNS",
    "Recipe",
    "RunFolder",
    "cancel",
    "follow",
    "list_runs",
    "load_catalog",
    "new_recipe",
    "resume",
    "start",
]


def new_recipe(*, preset: str = "standard", runs: Path | str = RUNS, **wanted: Any) -> Recipe:
    """A complete recipe by what the command line takes; UserError says what is wrong with it.

    `model`: a network's name, timm/NAME or FILE.py:FACTORY, which is executed; `weights` a file, `data` a
    folder of images or a zip archive, as text or Path; `images`, `seed`, bits and edge rule;
    `model_settings`, `synthesis_settings` and `quantization_settings` as dictionaries.
    """
    runs = Path(runs)
    return make_recipe(load_catalog(runs), preset=preset, runs=runs, own_code=True, **wanted)
