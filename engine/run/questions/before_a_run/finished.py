"""What finished runs of a network tell of the next one: seconds and MB. Imports no torch.

A stage takes some time whatever its steps, and some for each step. The two are told apart by the rate that
the run itself reported: so a tiny run says little of a long one, and nothing where its batch was another.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine.core.events import Stepped
from engine.core.outside.reading import is_number
from engine.run.folders.folder import RunFolder
from engine.run.folders.opened import opened_from
from engine.run.recipes.recipe import Recipe

STAGES = ("synthesis", "quantization", "evaluation")
LIKE = 1.5  # times as many images at a time: beyond, what a step takes is not proportional any more
FAR = 4.0  # times as many steps, of a run that has not told its rate
LEAST_S = 1.0  # of steps: a shorter run was over before its rate settled


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Seconds of one stage, and where they are from: a run's id, or empty for measured steps."""

    seconds: float
    run: str = ""


def batches(recipe: Recipe) -> list[int]:
    """Sizes of the batches in which the images are made."""
    size = int(recipe.synthesis_settings.get("batch", 128))
    sizes = [size] * (recipe.images // size)
    return [*sizes, recipe.images % size] if recipe.images % size else sizes


def is_alike(run: RunFolder, recipe: Recipe) -> bool:
    """Finished here, and of the same network: its weights do not matter to its speed."""
    try:
        other = run.recipe
        same = (other.model, other.model_settings.get("image_shape")) == (
            recipe.model, recipe.model_settings.get("image_shape")
        )  # fmt: skip
        return same and run.result() is not None and not opened_from(run.path)
    except (OSError, ValueError, TypeError):  # torn, or of another version
        return False


def seconds_of(run: RunFolder, stage: str = "") -> float | None:
    """Seconds that a finished run took for a stage, or for all; None where it did not compute it itself."""
    kept = (run.result() or {}).get("seconds")
    stages = [stage] if stage else list(STAGES)
    found = [kept.get(one) if isinstance(kept, dict) else None for one in stages]
    if not all(is_number(one) and one for one in found):
        return None
    return float(sum(one for one in found if one is not None))


def part_of_runs(stage: str, recipe: Recipe, finished: list[RunFolder]) -> Part | None:
    """The stage's seconds by the run whose budget is nearest; None where none says enough."""
    best: tuple[float, Part] | None = None
    kind, steps, images = work(stage, recipe)
    for run in finished:
        other, its_steps, its_images = work(stage, run.recipe)
        taken = seconds_of(run, stage)
        if other != kind or taken is None or not 1 / LIKE <= images / its_images <= LIKE:
            continue
        more = images / its_images, recipe.images / run.recipe.images
        seconds = _scaled(run, stage, taken, (its_steps, steps), more)
        far = max(steps / its_steps, its_steps / steps) * max(
            images / its_images, its_images / images
        )
        if seconds is not None and (best is None or far < best[0]):
            best = far, Part(seconds=seconds, run=run.run_id)
    return best[1] if best else None


def _scaled(
    run: RunFolder,
    stage: str,
    taken: float,
    steps: tuple[float, float],
    more: tuple[float, float],  # images at a time, and in all
) -> float | None:
    """Its seconds for another number of steps and images; None where it is too far to tell."""
    before, now = steps
    if stage == "evaluation":
        return taken
    step_s = _step_s(run.path, stage, run.events_file.stat().st_mtime_ns)
    if step_s is None or before * step_s < LEAST_S:
        near = 1 / FAR <= now / before <= FAR
        return taken * more[0] * now / before if near else None
    step_s = min(step_s, taken / before)
    once = (taken - before * step_s) * (more[1] if stage == "quantization" else 1.0)
    return once + now * step_s * more[0]


@lru_cache(256)
def _step_s(path: Path, stage: str, changed: int) -> float | None:  # noqa: ARG001  (the cache's key)
    """Seconds of a step of the stage, over all its parts alike; None where the run does not tell."""
    rates: dict[str, float] = {}
    for _, event in RunFolder(path).events():
        if isinstance(event, Stepped) and event.stage == stage and event.values.get("steps_per_s"):
            rates[event.part] = event.values["steps_per_s"]
    if not rates:
        return None
    seconds = [1 / rate for rate in rates.values()]
    # Each block takes all steps of a recipe, a batch of images its own.
    return sum(seconds) if stage == "quantization" else sum(seconds) / len(seconds)


def work(stage: str, recipe: Recipe) -> tuple[str, float, float]:
    """(what is done, steps, images at a time): only like is held against like."""
    if stage == "evaluation":
        return json.dumps(["evaluation", recipe.data]), 1.0, 1.0
    method = getattr(recipe, stage)
    settings = dict(getattr(recipe, f"{stage}_settings"))
    # 0 steps may stand for none, or for a preset's: such runs are like each other alone
    steps = int(settings.pop("steps")) if settings.get("steps") else 1
    batch = settings.pop("batch", None)
    kind = json.dumps([method, settings], sort_keys=True)
    if stage == "synthesis":
        sizes = batches(recipe)
        return kind, float(steps * len(sizes)), float(recipe.images / len(sizes))
    return kind, float(steps), float(min(int(batch or 32), recipe.images))


def memory_of_runs(recipe: Recipe, finished: list[RunFolder]) -> float | None:
    """The peak of a finished run that held as much at once, images taken over from others counted."""
    for run in finished:
        if _held(run.recipe) != _held(recipe):
            continue
        return _peak_mb(run.path, run.events_file.stat().st_mtime_ns)
    return None


@lru_cache(256)
def _peak_mb(path: Path, changed: int) -> float:  # noqa: ARG001  (a part of the cache's key)
    run = RunFolder(path)
    seen = [
        event.values["memory_mb"]
        for _, event in run.events()
        if isinstance(event, Stepped) and "memory_mb" in event.values
    ]
    return float(max([*seen, (run.result() or {}).get("peak_memory_mb") or 0.0]))


def _held(recipe: Recipe) -> list[Any]:
    batch = recipe.quantization_settings.get("batch")
    at_once = max(batches(recipe))
    return [recipe.synthesis, at_once, recipe.quantization, batch, recipe.images]
