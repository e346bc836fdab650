"""The doctor's answer about a run, found once and kept, with what was tried of it since. Imports no torch."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.analysis.doctor.finding import Change
from engine.core.errors import UserError
from engine.run.catalog import load as load_catalog
from engine.run.folders.folder import RunFolder
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

    Each finding also has "tried": {"run", "measured_gain", "unit", "helped"} or None, and "track": how the
    rule's advice has turned out over all runs, or None. `attempt`: the name of a rule, whose best finding
    (at `layer`, where that is given) is then tried: its change is run, and what it gained is kept. UserError
    in one line for a run without a student, and for a rule that found nothing to change.
    """
    found = with_tried(answer(folder, "doctor", find), folder.path.parent)
    if not attempt:
        return found
    finding = chosen(found, attempt, layer)
    row = try_out(folder, finding, work or run_to_end)
    return with_tried(found, folder.path.parent) | {"attempt": row}


def kept_doctor(folder: RunFolder) -> Found | None:
    """The same where it is there already, without computing anything."""
    found = kept_answer(folder, "doctor")
    return None if found is None else with_tried(found, folder.path.parent)


def with_tried(found: Found, runs: Path) -> Found:
    """The answer with what stands on the scoreboard now."""
    tried = scoreboard.rows(runs)
    findings = []
    for one in found["findings"]:
        words = one["change"]["words"] if one["change"] else None
        key = (found["run"], one["rule"], one["layer"], words)
        own = [row for row in tried if (row["of"], row["rule"], row["layer"], row["change"]) == key]
        last = {name: own[-1].get(name) for name in _TOLD} if own else None
        findings.append(one | {"tried": last, "track": scoreboard.track(tried, one["rule"])})
    return found | {"findings": findings}


_TOLD = ("run", "measured_gain", "unit", "helped")


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


def try_out(folder: RunFolder, finding: Found, work: Work) -> scoreboard.Row:
    """Run the finding's change, and keep what it gained beside what was predicted.

    UserError where the change is none, or its run does not end well.
    """
    words = finding["change"]["words"]
    runs, before = folder.path.parent, folder.result() or {}
    ended = work(counterfactual(folder, finding), runs)
    after = ended.result()
    if after is None:
        raise UserError(
            f"run {ended.run_id!r}, which tries to {words}, ended without a result; see "
            f"`python -m engine resume {ended.run_id}`"
        )
    gained = scoreboard.measured(finding["unit"], before, after, finding["layer"])
    if gained is None:
        raise UserError(
            f"run {ended.run_id!r} is done, but has no measure in common with {folder.run_id!r}; "
            "see the images and layers of the two"
        )
    row = {
        "of": folder.run_id, "run": ended.run_id, "rule": finding["rule"], "layer": finding["layer"],
        "change": words, "predicted_gain": finding["predicted_gain"], "band": finding["band"],
        "measured_gain": gained[0], "unit": gained[1], "helped": scoreboard.helped(*gained, before),
    }  # fmt: skip
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


def run_to_end(recipe: Recipe, runs: Path) -> RunFolder:
    """Start the recipe's run, or find it, and wait until it has ended."""
    started = launch.start(recipe, runs)
    for _ in follow(started):
        pass
    return started
