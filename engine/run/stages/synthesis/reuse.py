"""Images that another run has already made: the same synthesis is not computed twice.

Two recipes that differ only in bits or quantizer make the same images. The second run takes over the
first one's images, film and synthesis events, and says so. Where a student at the chosen bits is at work
while images are made, they belong to these bits, and its weights go where they go.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

from engine.core.events import Event, Noted, SnapshotSaved, StageFinished, StageStarted, Stepped
from engine.run.folders import damage
from engine.run.folders.folder import RunFolder, list_runs, write_atomically
from engine.run.recipes.layer_bits import SETTING
from engine.run.recipes.recipe import Recipe

STAGE = "synthesis"
_QUANTIZATION_ONLY = (
    "quantization", "weight_bits", "activation_bits", "edge_rule", "preset", "quantization_settings", "data",
)  # fmt: skip
CO_TRAINING = "co_training"  # settings of synthesis that bring a student in where they are not 0
_WITH_STUDENT = (CO_TRAINING, "competition_weight")
_OF_STUDENT = ("weight_bits", "activation_bits", "edge_rule")
_GRIDS = ("weight_range", "activation_range", "activation_zero", "percentile", "equalise")
OTHERS = "others.safetensors"  # images that were not calibrated on, see others.py
SPEED = ("steps_per_s", "eta_s")  # of the run that did the work
STUDENT_FILE = damage.STUDENT_FILE  # weights that were trained beside the images


def asks_for_student(synthesis_settings: Mapping[str, Any]) -> bool:
    """Whether images are made with a student at the recipe's bits, and so for these bits alone."""
    return any(synthesis_settings.get(name) for name in _WITH_STUDENT)


def synthesis_key(recipe: Recipe) -> str:
    """What a recipe's images depend on, as text: equal keys, equal images."""
    content = {k: v for k, v in asdict(recipe).items() if k not in _QUANTIZATION_ONLY}
    settings = recipe.synthesis_settings
    if asks_for_student(settings):
        content |= {name: getattr(recipe, name) for name in _OF_STUDENT}
        content["grids"] = {name: recipe.quantization_settings.get(name) for name in _GRIDS}
        if SETTING in recipe.quantization_settings:
            content["grids"][SETTING] = recipe.quantization_settings[SETTING]
    else:  # as if there were no such settings: older runs have none
        content["synthesis_settings"] = {
            name: value
            for name, value in settings.items()
            if name not in _WITH_STUDENT and not name.startswith("student_")
        }
    return json.dumps(content, sort_keys=True)


def find_images(recipe: Recipe, folder: RunFolder) -> RunFolder | None:
    """A neighbouring run that has finished this recipe's synthesis, or None."""
    if any(folder.path.glob("images-*.safetensors")):
        return None  # this run has begun its own
    wanted = synthesis_key(recipe)
    for other in list_runs(folder.path.parent):
        if other.path == folder.path or not _has_key(other, wanted):
            continue
        finished = any(isinstance(e, StageFinished) and e.stage == STAGE for _, e in other.events())
        if finished and damage.can_lend(other):
            return other
    return None


def _has_key(run: RunFolder, wanted: str) -> bool:
    try:
        return synthesis_key(run.recipe) == wanted
    except (OSError, ValueError, TypeError):  # a recipe that is torn, or of another version
        return False


def take_over(source: RunFolder, folder: RunFolder) -> Iterator[Event]:
    """Copy the source's synthesis into the folder, and yield its events again, as what they are: reused."""
    yield Noted(
        message=f"The images are those of run {source.run_id}: the same recipe up to the quantizer."
    )
    for _, event in source.events():
        if not damage.lent_snapshot(event, source, folder):
            continue
        kinds = (StageStarted, Stepped, SnapshotSaved, StageFinished)
        if isinstance(event, kinds) and event.stage == STAGE:
            yield _reused(event, source.run_id)
    if (source.path / STUDENT_FILE).exists():
        write_atomically(folder.path / STUDENT_FILE, (source.path / STUDENT_FILE).read_bytes())
    # Beside the images: those made to judge by, and what it takes to make them.
    for file in (*source.path.glob(OTHERS), *source.path.glob("memory-*.pt")):
        write_atomically(folder.path / file.name, file.read_bytes())
    # The images last: they are the sign that all of it is there.
    for file in sorted(source.path.glob("images-*.safetensors")):
        write_atomically(folder.path / file.name, file.read_bytes())


def _reused(event: Event, run: str) -> Event:
    """The event as a run tells it that did not do the work: no time was spent, nothing is at work."""
    if isinstance(event, StageStarted):
        return replace(event, reused_from=event.reused_from or run)
    if isinstance(event, Stepped):
        return replace(event, values={k: v for k, v in event.values.items() if k not in SPEED})
    if isinstance(event, StageFinished):
        spent = event.seconds + event.values.get("reused_s", 0.0)
        values = event.values | {"reused_s": spent}
        return replace(event, seconds=0.0, values=values, reused_from=event.reused_from or run)
    return event
