"""Fork: branch a run in the middle of its synthesis, with other settings from there on. Imports no torch.

Both futures start from the same state, bit for bit: what differs later comes from the settings alone.
"""

import dataclasses
import json
import shutil
import time
from pathlib import Path
from typing import Any, BinaryIO

from engine.core.errors import UserError
from engine.core.events import Noted, RunStarted, SnapshotSaved, StageStarted, Stepped
from engine.core.outside.reading import read_object
from engine.run.folders.control import CHECKPOINT_MARK as MARK
from engine.run.folders.damage import lent_snapshot
from engine.run.folders.folder import ACTIVE, RunFolder, write_atomically
from engine.run.folders.owner import HOST, claim, owner_of
from engine.run.recipes.recipe import Recipe, find
from engine.run.recipes.settings import resolve
from engine.run.workers import launch

STAGE = "synthesis"
LOOKS = 5  # at a state that a worker replaces meanwhile
LOOK_AGAIN_S = 0.05


def fork(
    source: RunFolder, changes: dict[str, Any], catalog: dict[str, Any], *, owner: str = HOST
) -> RunFolder:
    """A new run that goes on from the source's last checkpoint with changed synthesis settings.

    It is started, waits its turn where the source is at work, and is the owner's. UserError where the
    source is not in the middle of its synthesis, or nothing is changed, or a setting cannot change any more.
    """
    mark, checkpoint = _state(source)
    with checkpoint:
        recipe = _recipe(source, mark, changes, catalog)
        place = source.path.parent / recipe.run_id
        claim(place, owner, made="recipe.json")
        if owner_of(place) != owner != HOST:
            raise UserError(
                f"this fork is there already, as run {recipe.run_id!r}, and somebody else's; change a setting"
            )
        folder = RunFolder.create(source.path.parent, recipe)
        if not folder.events_file.exists():
            with (folder.path / "checkpoint").open("wb") as copy:
                shutil.copyfileobj(checkpoint, copy)
            write_atomically(folder.path / MARK, json.dumps(mark).encode())
            _copy_past(source, folder, mark, changes)
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


def _read_mark(source: RunFolder) -> dict[str, Any]:
    mark = read_object(source.path / MARK) or {}
    sound = isinstance(mark.get("key"), str) and type(mark.get("step")) is int
    return mark if sound else {"key": "", "step": 0}


def _mark(source: RunFolder) -> dict[str, Any]:
    mark = _read_mark(source)
    if not mark["key"].startswith(f"{STAGE}/") or not (source.path / "checkpoint").is_file():
        raise UserError(
            f"run {source.run_id!r} is not in the middle of its synthesis; {_way_to_fork(source)}"
        )
    return mark


def _way_to_fork(source: RunFolder) -> str:
    """What to do where there is no state to go on from: a pause saves one, as long as images are made."""
    status, run = source.status(), source.run_id
    if source.result() is None and status.get("stage", STAGE) == STAGE:
        if status["state"] in ACTIVE:
            return f"pause it with `python -m engine pause {run}`, then fork it"
        return f"go on with `python -m engine resume {run}` and pause it there, then fork it"
    return "start a new run with the setting that differs"


def _state(source: RunFolder) -> tuple[dict[str, Any], BinaryIO]:
    """The mark, and the checkpoint that it is of, open: what replaces it does not reach what was opened.

    A worker takes the mark away, replaces the checkpoint and marks it. So where the mark is the same
    before and after the opening, no other checkpoint has come between.
    """
    refused = None
    for _ in range(LOOKS):
        try:
            mark = _mark(source)
            checkpoint = (source.path / "checkpoint").open("rb")
        except UserError as error:  # or the mark is away for a moment
            refused = error
        except FileNotFoundError:  # its batch is finished
            pass
        else:
            if _read_mark(source) == mark:
                return mark, checkpoint
            checkpoint.close()
        time.sleep(LOOK_AGAIN_S)
    raise refused or UserError(
        f"run {source.run_id!r} saves its state too often to be forked while it runs; pause it, then fork it"
    )


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


def _batch(mark: dict[str, Any]) -> int:
    return int(mark["key"].removeprefix(f"{STAGE}/"))


def _stage_step(recipe: Recipe, mark: dict[str, Any]) -> int:
    return _batch(mark) * int(recipe.synthesis_settings.get("steps", 0)) + int(mark["step"])


def _copy_past(
    source: RunFolder, folder: RunFolder, mark: dict[str, Any], changes: dict[str, Any]
) -> None:
    """What was before the checkpoint: finished batches, and events up to its step."""
    step = _stage_step(source.recipe, mark)
    for file in _batches(source.path, _batch(mark)):
        shutil.copyfile(file, folder.path / file.name)
    for _, event in source.events():
        later = isinstance(event, SnapshotSaved) and event.step > step
        if later or not lent_snapshot(event, source, folder):
            continue
        kept = isinstance(event, (RunStarted, SnapshotSaved))
        if isinstance(event, (StageStarted, Stepped)) and event.stage == STAGE:
            kept = not isinstance(event, Stepped) or event.step <= step
        if kept:
            folder.append(event)
    words = ", ".join(f"{name} = {value}" for name, value in changes.items())
    folder.append(Noted(message=f"Forked from run {source.run_id} at step {step}, with {words}."))


def _batches(path: Path, before: int) -> list[Path]:
    """Images of the batches before that one, and what they left for the next to know."""
    files = [*sorted(path.glob("memory-*.pt")), *sorted(path.glob("images-*.safetensors"))]
    return [file for file in files if int(file.stem.partition("-")[2]) < before]
