"""Working through a sweep: one run after another, what is finished already is found."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.run.folders.folder import ACTIVE, RunFolder
from engine.run.questions.before_a_run import estimate
from engine.run.recipes.recipe import Recipe
from engine.run.stages.synthesis.reuse import synthesis_key
from engine.run.workers import launch

LOOK_EVERY_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What the rest of a sweep takes, before it is begun."""

    runs: int  # to compute; those that are finished do not count
    known: int  # of them, whose time is known from finished runs or measured steps
    seconds: float  # of those that are known; images that runs share are counted once


def cost_of(recipes: Sequence[Recipe], runs: Path) -> Cost:
    """How many runs there are to do, and how long those take whose pace is known."""
    to_do = [one for one in recipes if RunFolder(runs / one.run_id).result() is None]
    made = {synthesis_key(one) for one in recipes if one not in to_do}
    seconds, known = 0.0, 0
    for recipe in to_do:
        told = estimate.estimate(recipe, runs, estimate.kept_pace(runs, recipe))
        if told["total_s"] is None:
            continue
        known += 1
        shared = synthesis_key(recipe) in made
        seconds += told["total_s"][1] - (told["seconds"].get("synthesis", 0.0) if shared else 0.0)
        made.add(synthesis_key(recipe))
    return Cost(runs=len(to_do), known=known, seconds=max(seconds, 0.0))


def work_through(
    recipes: Sequence[Recipe], runs: Path, tell: Callable[[RunFolder, int, int], None]
) -> list[RunFolder]:
    """Run them all in order, and return their folders; one that fails holds up no other.

    `tell` gets each run that ended, how many have ended, and how many there are. The next run is asked
    for while one is at work, so that the queue is never empty; KeyboardInterrupt cancels what was asked for.
    """
    folders: list[RunFolder] = []
    ended = 0
    try:
        for recipe in recipes:
            folders.append(launch.start(recipe, runs))
            while len(folders) - ended > 1:
                ended = _next_end(folders, ended, len(recipes), tell)
        while ended < len(folders):
            ended = _next_end(folders, ended, len(recipes), tell)
    except KeyboardInterrupt:
        for folder in folders[ended:]:
            launch.cancel(folder)
        raise
    return folders


def _next_end(
    folders: Sequence[RunFolder],
    ended: int,
    count: int,
    tell: Callable[[RunFolder, int, int], None],
) -> int:
    folder = folders[ended]
    while folder.result() is None and folder.status()["state"] in ACTIVE:
        time.sleep(LOOK_EVERY_S)
    tell(folder, ended + 1, count)
    return ended + 1
