"""Runs: the only package that knows all the others, and the only one that the app may call.

    from engine import run

    recipe = run.new_recipe(
        model="resnet20-fashion", synthesis="genie", quantization="quantoscope", weight_bits=2, preset="quick"
    )
    folder = run.start(recipe, run.RUNS)
    for event in run.follow(folder):
        print(event)
    print(folder.result()["quantized_top1"])
    print(run.export(folder, ["onnx", "codes"])["proof"]["agreement"])

Importing this imports no torch: the work is done in a process of its own.
"""

from collections.abc import Sequence
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
    "doctor",
    "export",
    "follow",
    "list_runs",
    "load_catalog",
    "new_recipe",
    "open_bundle",
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


def doctor(folder: RunFolder, attempt: str = "", layer: str = "") -> dict[str, Any]:
    """What is wrong with a finished run and what to change, what gains most first; see `engine doctor`.

    `attempt`: the name of a rule, whose change is then run, and told with what it gained; `layer`: of its
    findings that at this layer. "all": one change after another, each kept that helped, told as "cure".
    UserError for what is not finished, and a rule with nothing to try.
    """
    from engine.run.questions.doctor.answers import doctor as ask
    from engine.run.questions.doctor.cure.cure import ALL, cure

    if attempt == ALL:
        cured = cure(folder)
        return ask(folder) | {"cure": cured}
    return ask(folder, attempt, layer)


def export(
    folder: RunFolder,
    formats: Sequence[str],
    out: Path | str | None = None,
    sections: Sequence[str] = (),
) -> dict[str, Any]:
    """The files of a finished run in these formats, and the proof of the ONNX file; see `engine export`.

    `formats` are the names of the command line's options, `out` the folder to write into, `sections` those of
    a report. UserError for what is not finished, not known, or cannot be said in a format.
    """
    from engine.run.exports.export import export as write

    return write(folder, formats, None if out is None else Path(out), sections)


def open_bundle(bundle: Path | str, runs: Path | str = RUNS) -> RunFolder:
    """The run of a bundle, put among the runs to be looked at; UserError for what is no sound bundle."""
    from engine.run.exports.opening import open_bundle as put

    Path(runs).mkdir(parents=True, exist_ok=True)
    return put(Path(bundle), Path(runs))
