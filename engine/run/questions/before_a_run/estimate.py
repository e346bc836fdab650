"""How long a run will take and how much memory, before it is started. Imports no torch.

Finished runs of the same network on this machine come first; where there is none, a few measured steps
of the recipe (`pace.py`) are extrapolated. Either way the answer says where it is from, and how
far off it may be.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.run.folders.folder import RunFolder, list_runs
from engine.run.machine.environment import worker_environment
from engine.run.machine.resources import free_memory_mb
from engine.run.questions import cached_answer
from engine.run.questions.before_a_run.finished import (
    STAGES,
    Part,
    batches,
    is_alike,
    memory_of_runs,
    part_of_runs,
    seconds_of,
    work,
)
from engine.run.recipes.recipe import Recipe

# The truth lies between estimate / factor and estimate * factor, and further where runs here say so.
RUN_FACTOR, PACE_FACTOR, MOST_FACTOR = 1.5, 2.0, 10.0
CHECKED = 5  # runs that an estimate is held against
PARTS = STAGES[:2]  # what is measured, each in a process of its own
FIT_IMAGES = 64  # that a block's ranges are searched on
WALKED = 32  # that walk through a network together, which takes more memory than their ranges
HEAP = 1.25  # what a run takes beyond its start to what a few steps take, on networks of 224 and 32 pixels
ALMOST = 0.9  # of the memory there is: beyond, the machine begins to swap
_BUDGET = ("steps", "batch")  # settings that the estimate scales with, instead of measuring anew

_NO_MATTER = ("mean", "std", "resize", "calibration", "interpolation")

Pace = dict[str, Any]


def pace_of(runs: Path, recipe: Recipe) -> Pace:
    """Measured steps of this network, by part; takes from seconds to a minute, once."""
    environment, recipe = worker_environment(), _bare(recipe)
    return {
        part: cached_answer.ask(
            runs,
            "pace",
            recipe,
            by=_by(recipe, part),
            environment=environment,
            more=["--part", part],
        )
        for part in PARTS
    }


def kept_pace(runs: Path, recipe: Recipe) -> Pace | None:
    """The same, if it was measured before."""
    recipe = _bare(recipe)
    parts = {part: cached_answer.kept(runs, "pace", recipe, by=_by(recipe, part)) for part in PARTS}
    return None if None in parts.values() else parts


def _bare(recipe: Recipe) -> Recipe:
    """Without what changes no speed: the same network is not measured again for other pixels' mean."""
    settings = {k: v for k, v in recipe.model_settings.items() if k not in _NO_MATTER}
    return replace(recipe, model_settings=settings)


def _by(recipe: Recipe, part: str) -> dict[str, Any]:
    settings = getattr(recipe, f"{part}_settings")
    # 0 steps may stand for none, or for a preset's: no multiple of it
    kept = {name: value for name, value in settings.items() if name not in _BUDGET or not value}
    return {"part": part, "method": getattr(recipe, part), "settings": kept}


def estimate(recipe: Recipe, runs: Path, pace: Pace | None) -> dict[str, Any]:
    """{"seconds", "total_s": [low, likely, high], "memory_mb": [..], "source", "factor", "warning"}.

    Without a pace only finished runs are asked; `total_s` and `memory_mb` are None where nothing is known.
    """
    finished = [run for run in list_runs(runs) if is_alike(run, recipe)]
    parts = {stage: part_of_runs(stage, recipe, finished) for stage in STAGES}
    if pace is not None:
        measured = seconds_by_pace(recipe, pace)
        parts = {stage: parts[stage] or Part(seconds=measured[stage]) for stage in STAGES}
    known = {stage: part for stage, part in parts.items() if part is not None}
    if len(known) < len(STAGES):
        return {"seconds": {}, "total_s": None, "memory_mb": None, "source": "", "warning": ""}
    load_s = pace["quantization"]["load_s"] if pace is not None else 0.0
    memory = memory_of_runs(recipe, finished)
    if memory is None and pace is not None:
        memory = memory_by_pace(recipe, pace)
    total = load_s + sum(part.seconds for part in known.values())
    all_runs = all(part.run for part in known.values())
    factor, checks = _factor(recipe, finished, None if all_runs else pace)
    busy = 1.0 if all_runs or pace is None else max(pace[part]["busy"] for part in PARTS)
    return {
        "seconds": {stage: round(part.seconds, 1) for stage, part in known.items()},
        "total_s": _around(total, factor),
        "busy": round(busy, 1),
        "memory_mb": None if memory is None else _around(memory, 1.3),
        "source": _source(known) + _checked(checks, factor),
        "factor": factor,
        "warning": _warning(memory),
    }


def _factor(recipe: Recipe, finished: list[RunFolder], pace: Pace | None) -> tuple[float, int]:
    """How far off the estimate may be, and by how many runs that is known: those of this kind are asked."""
    offs = []
    for run in finished:
        if any(work(stage, run.recipe)[0] != work(stage, recipe)[0] for stage in PARTS):
            continue
        taken = seconds_of(run)
        told = _estimated_before(run, [other for other in finished if other != run], pace)
        if taken is not None and told:
            offs.append(max(told / taken, taken / told))
        if len(offs) == CHECKED:
            break
    least = RUN_FACTOR if pace is None else PACE_FACTOR
    return min(MOST_FACTOR, round(max([least, *offs]), 1)), len(offs)


def _estimated_before(run: RunFolder, others: list[RunFolder], pace: Pace | None) -> float | None:
    """What would have been estimated for a run before it ran, in seconds; None where nothing would."""
    if pace is not None:
        return sum(seconds_by_pace(run.recipe, pace).values())
    parts = [part_of_runs(stage, run.recipe, others) for stage in STAGES]
    return None if None in parts else sum(part.seconds for part in parts if part is not None)


def _checked(runs: int, factor: float) -> str:
    if not runs:
        return ", held against no run of this kind yet"
    return (
        f", held against {runs} run{'s' if runs > 1 else ''} of this kind (within {factor:g} times)"
    )


def _around(value: float, factor: float) -> list[float]:
    return [round(value / factor, 1), round(value, 1), round(value * factor, 1)]


def _source(parts: dict[str, Part]) -> str:
    runs = {part.run for part in parts.values() if part.run}
    if not runs:
        return "measured on a few steps of this recipe, extrapolated"
    measured = [stage for stage, part in parts.items() if not part.run]
    text = f"from {len(runs)} finished run{'s' if len(runs) > 1 else ''} of this network here"
    return f"{text}; {' and '.join(measured)} from a few measured steps" if measured else text


# --- from measured steps ------------------------------------------------------------------------


def seconds_by_pace(recipe: Recipe, pace: Pace) -> dict[str, float]:
    """Seconds of each stage, by the measured steps."""
    synthesis, quantization = pace["synthesis"], pace["quantization"]
    fixed, slope = synthesis.get("step_s", [0.0, 0.0])
    # A method may train once and then only draw; one may take more steps than it was asked for.
    asked_for = synthesis.get("asked", 0)
    scale = int(recipe.synthesis_settings.get("steps", 0)) / asked_for if asked_for else 1.0
    first, later = synthesis["planned"]
    made = sum(
        scale * (later if number else first) * (fixed + slope * size)
        for number, size in enumerate(batches(recipe))
    )
    per_image = quantization["forward_s"]
    # Ranges of activations and measured errors grow with the images up to the number they are taken on.
    fitted = min(recipe.images, FIT_IMAGES) / min(quantization["images"], FIT_IMAGES)
    once = quantization["weights_s"] + fitted * max(
        0.0, quantization["once_s"] - quantization["weights_s"]
    )
    learned = sum(_learned(recipe, quantization, one) for one in quantization["learned"])
    looked_at = min(recipe.images, recipe.quantization_settings.get("images", recipe.images))
    bits = quantization["bits_s"] * looked_at / quantization["images"] + quantization["bits_once_s"]
    return {
        "synthesis": made,
        "quantization": bits + once + learned + recipe.images * per_image,
        "evaluation": quantization["test_images"] * per_image,
    }


def _learned(recipe: Recipe, quantization: Pace, one: dict[str, Any]) -> float:
    """Seconds of all steps of one kind: by how many are asked for now, and how many images one takes."""
    settings = recipe.quantization_settings
    often = 1.0
    if one["knob"] == "steps" and one["takes"] != "share" and quantization["asked"]:
        often = settings.get("steps", 0) / quantization["asked"]
    if one["takes"] != "batch":
        return float(often * one["s"] * recipe.images / quantization["images"])
    batch = int(settings.get("batch") or quantization["batch"])
    return float(often * one["s"] * min(batch, recipe.images) / quantization["batch"])


def memory_by_pace(recipe: Recipe, pace: Pace) -> float:
    """The most that the worker will hold, in MB: the greater of its two stages."""
    synthesis, quantization = pace["synthesis"], pace["quantization"]
    fixed, slope = synthesis["memory_mb"]
    made = fixed + slope * max(batches(recipe))
    held = quantization["held_mb"]
    count = quantization["images"]
    work = max(0.0, quantization["memory_mb"] / count - held)
    batch = int(recipe.quantization_settings.get("batch", count))
    at_once = max(batch, min(recipe.images, WALKED))
    start = quantization["start_mb"]  # torch and the network, which no heap makes larger
    quantized = start + recipe.images * held + work * at_once
    return float(start + HEAP * max(0.0, max(made, quantized) - start))


def _warning(memory: float | None) -> str:
    if memory is None:
        return ""
    there = free_memory_mb()
    if memory < ALMOST * there:
        return ""
    return (
        f"About {memory / 1000:.1f} GB would be needed, and this machine has {there / 1000:.1f} GB free: "
        "take a smaller batch (synthesis.batch) or fewer images"
    )
