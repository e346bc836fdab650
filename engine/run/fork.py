"""Fork: branch a run in the middle of its synthesis, with other settings from there on. Imports no torch.

Both futures start from the same state, bit for bit: what differs later comes from the settings alone.
"""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

from engine.core.errors import UserError
from engine.core.events import Noted, RunStarted, SnapshotSaved, StageStarted, Stepped
from engine.run import launch
from engine.run.control import CHECKPOINT_MARK as MARK
from engine.run.folder import RunFolder
from engine.run.recipe import Recipe, find, resolve

STAGE = "synthesis"


def fork(source: RunFolder, changes: dict[str, Any], catalog: dict[str, Any]) -> RunFolder:
    """A new run that goes on from the source's last checkpoint with changed synthesis settings.

    It is started, and waits its turn where the source is at work. UserError where the source is not in
    the middle of its synthesis, or nothing is changed, or a setting cannot change any more.
    """
    mark = _mark(source)
    recipe = _recipe(source, mark, changes, catalog)
    folder = RunFolder.create(source.path.parent, recipe)
    if not folder.events_file.exists():
        _copy(source, folder, _stage_step(source.recipe, mark), changes)
    launch.start(recipe, source.path.parent)
    return folder


def can_change(knob: dict[str, Any]) -> bool:
    """Whether a setting, as a catalog describes it, can still change in a synthesis that has begun."""
    return not knob.get("fixed")


def can_fork(source: RunFolder) -> bool:
    """Whether the run has a checkpoint in the middle of its synthesis."""
    try:
        _mark(source)
    except UserError:
        return False
    return True


def _mark(source: RunFolder) -> dict[str, Any]:
    try:
        mark: dict[str, Any] = json.loads((source.path / MARK).read_text())
    except (OSError, ValueError):
        mark = {"key": "", "step": 0}
    if not mark["key"].startswith(f"{STAGE}/") or not (source.path / "checkpoint").is_file():
        raise UserError(
            f"run {source.run_id!r} is not in the middle of its synthesis; pause one there, then fork it"
        )
    return mark


def _recipe(
    source: RunFolder, mark: dict[str, Any], changes: dict[str, Any], catalog: dict[str, Any]
) -> Recipe:
    recipe = source.recipe
    knobs = find(catalog, STAGE, recipe.synthesis)["settings"]
    fixed = [knob["name"] for knob in knobs if not can_change(knob)]
    for name in changes:
        if name in fixed:
            raise UserError(f"synthesis.{name} cannot change in a fork; start a new run for that")
    settings = resolve(knobs, recipe.preset, recipe.synthesis_settings | changes, STAGE)
    if settings == recipe.synthesis_settings:
        raise UserError("a fork needs a setting that differs; change one of the synthesis")
    step = _stage_step(recipe, mark)
    return dataclasses.replace(
        recipe, synthesis_settings=settings, forked_from=f"{source.run_id}@{step}"
    )


def _stage_step(recipe: Recipe, mark: dict[str, Any]) -> int:
    batch = int(mark["key"].removeprefix(f"{STAGE}/"))
    return batch * int(recipe.synthesis_settings.get("steps", 0)) + int(mark["step"])


def _copy(source: RunFolder, folder: RunFolder, step: int, changes: dict[str, Any]) -> None:
    """The source's past: its checkpoint, finished batches, and events up to the step."""
    for file in (source.path / "checkpoint", source.path / MARK, *_batches(source.path)):
        shutil.copyfile(file, folder.path / file.name)
    for _, event in source.events():
        if isinstance(event, SnapshotSaved):
            if event.step > step:
                continue
            shutil.copyfile(source.snapshot(event.file), folder.snapshot(event.file))
        kept = isinstance(event, (RunStarted, SnapshotSaved))
        if isinstance(event, (StageStarted, Stepped)) and event.stage == STAGE:
            kept = not isinstance(event, Stepped) or event.step <= step
        if kept:
            folder.append(event)
    words = ", ".join(f"{name} = {value}" for name, value in changes.items())
    folder.append(Noted(message=f"Forked from run {source.run_id} at step {step}, with {words}."))


def _batches(path: Path) -> list[Path]:
    """Finished images, and what they left for the next to know."""
    return [*sorted(path.glob("memory-*.pt")), *sorted(path.glob("images-*.safetensors"))]
