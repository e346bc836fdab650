"""The most that can be had in a given time: images and steps chosen by the measured pace. Imports no torch.

Between the least that a method needs to do anything and its paper's full budget, images and steps grow
together; what the user set stays. Which share of time goes where is that of the recipe's own preset.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.core.errors import UserError
from engine.run.questions.before_a_run.estimate import Pace, estimate, pace_of
from engine.run.recipes.recipe import Recipe

LEAST, MOST = 0.05, 20.0  # times the preset's steps
FEWEST_IMAGES = 16
MARGIN = 0.95  # of the time, so that it is rather kept than missed
JUDGING = "evaluation"
WORKER_S = 3.0  # a worker's start before the network is loaded
_UNITS = {"": 1.0, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}
_TIME = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([a-z]*)")


def seconds_in(text: str) -> float:
    """The seconds of 30s, 2min or 1.5h; UserError for what is no time."""
    found = _TIME.fullmatch(text.strip().lower())
    unit = _UNITS.get(found[2]) if found else None
    if found is None or unit is None or not float(found[1]):
        raise UserError(f"{text!r} is no time; give 30s, 2min or 1h")
    return float(found[1]) * unit


def within(
    recipe: Recipe, seconds: float, runs: Path, fixed: dict[str, set[str]] | None = None
) -> Recipe:
    """The recipe with the most images and steps that fit into so many seconds on this machine.

    fixed: by "synthesis", "quantization" and "recipe" the settings that stay as they are. UserError, with
    the least time that would do, where not even the smallest budget fits.
    """
    pace = pace_of(runs, recipe)

    def stages(one: Recipe) -> dict[str, float]:
        return dict(estimate(one, runs, pace)["seconds"])

    return fitted(recipe, seconds, clock(runs, pace), fixed or {}, stages)


def fitted(
    recipe: Recipe,
    seconds: float,
    total_s: Callable[[Recipe], float],
    fixed: dict[str, set[str]],
    stages: Callable[[Recipe], Mapping[str, float]] | None = None,
) -> Recipe:
    """The same, where `total_s` tells how long a recipe takes, and `stages` where that time goes."""

    def takes(share: float) -> float:
        return total_s(scaled(recipe, share, fixed))

    wanted = MARGIN * seconds
    if takes(LEAST) > wanted:
        least = takes(LEAST) / MARGIN
        parts = stages(scaled(recipe, LEAST, fixed)) if stages is not None else {}
        judged, ways = _ways_out(recipe, parts.get(JUDGING, 0.0), least, seconds, fixed)
        raise UserError(
            f"the least that {recipe.quantization!r} on images of {recipe.synthesis!r} takes here is about "
            f"{least:.0f} s, not {seconds:.0f} s{judged}; give it that{ways}"
        )
    return scaled(recipe, _largest(takes, wanted), fixed)


def _ways_out(
    recipe: Recipe, judging: float, least: float, seconds: float, fixed: dict[str, set[str]]
) -> tuple[str, str]:
    """How long judging takes, where that is most of it; and what takes less, which is not chosen yet."""
    methods = [
        name
        for name, chosen, method in (
            ("nearest rounding", recipe.quantization, "nearest"),
            ("noise", recipe.synthesis, "noise"),
        )
        if chosen != method
    ]
    if judging > least / 2:  # no other method makes that less
        more = (
            f" and {' and '.join(methods)}"
            if methods and MARGIN * (least - seconds) > judging
            else ""
        )
        told = f", {judging:.0f} s of it for judging on the test images"
        return told, f", or fewer test images (--data FOLDER){more}"
    stays = ["--images"] if "images" in fixed.get("recipe", ()) else []
    stays += [
        f"{kind}.{name}"
        for kind in ("synthesis", "quantization")
        for name in sorted(fixed.get(kind, ()))
        if is_steps(name)
    ]
    ways = [f", or choose {' or '.join(methods)}"] if methods else []
    return "", "".join([*ways, *([f", or fewer {' and '.join(stays)}"] if stays else [])])


def clock(runs: Path, pace: Pace) -> Callable[[Recipe], float]:
    """How long a recipe takes, from the command to the accuracy: by finished runs here, else by its pace."""

    def total_s(recipe: Recipe) -> float:
        return WORKER_S + float(estimate(recipe, runs, pace)["total_s"][1])

    return total_s


def total_words(recipe: Recipe) -> str:
    """What was chosen, in a line."""
    steps = {
        kind: getattr(recipe, f"{kind}_settings").get("steps")
        for kind in ("synthesis", "quantization")
    }
    told = [f"{count} steps of {kind}" for kind, count in steps.items() if count]
    return f"in that time: {', '.join([f'{recipe.images} images', *told])}"


def scaled(recipe: Recipe, share: float, fixed: dict[str, set[str]]) -> Recipe:
    """The recipe with its steps times the share; images follow its root, as they cost in both stages.

    The root keeps steps and images in proportion to the budgets of the presets: from quick to paper both
    grow about as much.
    """
    settings = {
        kind: {
            name: _steps(value, share) if is_steps(name) and name not in fixed.get(kind, ()) else value
            for name, value in getattr(recipe, f"{kind}_settings").items()
        }
        for kind in ("synthesis", "quantization")
    }  # fmt: skip
    images = recipe.images
    if "images" not in fixed.get("recipe", ()):
        images = max(min(FEWEST_IMAGES, images), round(images * min(1.0, share) ** 0.5))
    return replace(
        recipe, images=images, synthesis_settings=settings["synthesis"],
        quantization_settings=settings["quantization"],
    )  # fmt: skip


def is_steps(name: str) -> bool:
    """Whether a setting counts steps."""
    return name == "steps" or name.endswith("_steps")


def _steps(value: Any, share: float) -> Any:
    return max(1, round(value * share)) if isinstance(value, int) and value > 0 else value


def _largest(takes: Callable[[float], float], wanted: float) -> float:
    """The largest share that takes no longer; the time grows with the share."""
    low, high = LEAST, MOST
    if takes(high) <= wanted:
        return high
    for _ in range(12):  # to 0.2 %: each look reads the runs here
        middle = (low * high) ** 0.5
        low, high = (middle, high) if takes(middle) <= wanted else (low, middle)
    return low
