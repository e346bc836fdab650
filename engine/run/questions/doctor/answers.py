"""The doctor's answer about a run, found once and kept, with what was tried of it since. Imports no torch."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.analysis.doctor.finding import Change
from engine.core.errors import UserError
from engine.run.catalog import load as load_catalog
from engine.run.folders.folder import ACTIVE, RunFolder
from engine.run.folders.tail import follow
from engine.run.questions.doctor import scoreboard
from engine.run.questions.doctor.counterfactual import changed
from engine.run.questions.why.answers import answer, kept_answer
from engine.run.recipes.recipe import Recipe
from engine.run.workers import launch

Found = dict[str, Any]
Work = Callable[[Recipe, Path], RunFolder]  # runs a recipe to its end


def doctor(
    folder: RunFolder,
    attempt: str = "",
    layer: str = "",
    *,
    find: Callable[[], Found] | None = None,
    work: Work | None = None,
) -> Found:
    """The findings of `engine.run.questions.doctor.doctor`, each with what came of it when it was tried.

    Each finding also has "tried": {"run", "measured_gain", "measured_band", "unit", "helped"} or None, and
    "track": how the rule's advice has turned out over all runs, or None; "untold": why not even a run tells
    what the change gains, or "". `attempt`: the name of a rule, whose best finding (at `layer`, where that is
    given) is then tried: its change is run, and what it gained is kept. UserError in one line for a run
    without a student, and for a rule that found nothing to change.
    """
    found = with_tried(answer(folder, "doctor", find), folder.path.parent)
    if not attempt:
        return found
    row = begin(folder, chosen(found, attempt, layer), work or run_to_end)
    return with_tried(found, folder.path.parent) | {"attempt": _measured(folder.path.parent, row)}


def kept_doctor(folder: RunFolder) -> Found | None:
    """The same where it is there already, without computing anything."""
    found = kept_answer(folder, "doctor")
    return None if found is None else with_tried(found, folder.path.parent)


def with_tried(found: Found, runs: Path) -> Found:
    """The answer with what stands on the scoreboard now; a run that has ended since is measured."""
    settle(runs)
    result = RunFolder(runs / found["run"]).result()
    tried, at_work = scoreboard.rows(runs), scoreboard.begun(runs)
    findings = []
    for one in found["findings"]:
        words = one["change"]["words"] if one["change"] else None
        key = (found["run"], one["rule"], one["layer"], words)
        own = [
            row
            for row in [*tried, *at_work]
            if (row["of"], row["rule"], row["layer"], row["change"]) == key
        ]
        last = {name: own[-1].get(name) for name in _TOLD} if own else None
        untold = scoreboard.why_untold(one["unit"], result) if result and words else ""
        track = scoreboard.track(tried, one["rule"])
        findings.append(one | {"tried": last, "track": track, "untold": untold})
    return found | {"findings": findings}


_TOLD = ("run", "measured_gain", "measured_band", "unit", "helped")


def chosen(found: Found, rule: str, layer: str = "") -> Found:
    """The first finding of that rule that has a change; UserError where there is none."""
    able = [one for one in found["findings"] if one["change"] is not None]
    for one in able:
        if one["rule"] == rule and layer in ("", one["layer"]):
            return dict(one)
    names = ", ".join(dict.fromkeys(one["rule"] for one in able)) or "none"
    where = f" at {layer!r}" if layer else ""
    raise UserError(
        f"run {found['run']!r} has no finding of rule {rule!r}{where} with something to try; "
        f"choose one of {names}"
    )


def begin(folder: RunFolder, finding: Found, work: Work = launch.start) -> scoreboard.Row:
    """Start the run of the finding's change; what it gains is told by `with_tried` once it has ended.

    Returns its row of the scoreboard, whose "run" is the run's name. UserError where the change is none.
    """
    recipe, runs = counterfactual(folder, finding), folder.path.parent
    row = {
        "of": folder.run_id, "run": recipe.run_id, "rule": finding["rule"], "layer": finding["layer"],
        "change": finding["change"]["words"], "predicted_gain": finding["predicted_gain"],
        "band": finding["band"], "measured_gain": None, "unit": finding["unit"], "helped": None,
    }  # fmt: skip
    work(recipe, runs)
    scoreboard.keep(runs, row)
    return row


def counterfactual(folder: RunFolder, finding: Found) -> Recipe:
    """The recipe that tries the finding's change; UserError where it is the run's own, or cannot be."""
    change = Change.of(finding["change"])
    catalog = load_catalog(folder.path.parent) if change.quantization or change.synthesis else None
    recipe = changed(folder.recipe, change, catalog)
    if recipe.run_id == folder.run_id:
        raise UserError(
            f"to {change.words} changes nothing of run {folder.run_id!r}; try another finding"
        )
    return recipe


def settle(runs: Path) -> None:
    """Measure what every try gained whose run has ended since."""
    for row in scoreboard.begun(runs):
        _settle(runs, row)


def _settle(runs: Path, row: scoreboard.Row) -> None:
    """Measure what the row's run gained, where it has ended; one whose run broke or is gone is forgotten."""
    before, after = RunFolder(runs / row["of"]).result(), RunFolder(runs / row["run"]).result()
    if after is None and RunFolder(runs / row["run"]).status()["state"] in ACTIVE:
        return
    gained = None
    if before is not None and after is not None:
        gained = scoreboard.measured(row["unit"], before, after, row["layer"])
    if gained is None or before is None:
        scoreboard.forget(runs, row)
        return
    band = scoreboard.measured_band(gained[1], before, after or {})
    told = {
        "measured_gain": gained[0],
        "measured_band": band,
        "unit": gained[1],
        "helped": scoreboard.helped(*gained, before, band),
    }
    scoreboard.keep(runs, row | told)


def _measured(runs: Path, row: scoreboard.Row) -> scoreboard.Row:
    """The row as it stands measured; UserError where its run has no result, or none to compare."""
    for one in scoreboard.rows(runs):
        if (one["run"], one["rule"], one["layer"]) == (row["run"], row["rule"], row["layer"]):
            return one
    state = RunFolder(runs / row["run"]).status()["state"]
    raise UserError(
        f"run {row['run']!r}, which tries to {row['change']}, is {state}, and what it gained cannot be "
        f"told; see `python -m engine resume {row['run']}`"
    )


def run_to_end(recipe: Recipe, runs: Path) -> RunFolder:
    """Start the recipe's run, or find it, and wait until it has ended."""
    started = launch.start(recipe, runs)
    for _ in follow(started):
        pass
    return started
