"""What the doctor proposes is run, what helped is kept, and the next is tried on that: until nothing helps.

Whether a change helps is measured on the whole network (its KL, else its decibels, or what it has right where
the float network changes too), not at the layer. Imports no torch.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from filelock import FileLock, Timeout

from engine.core.errors import UserError
from engine.run.folders.folder import ACTIVE, RunFolder
from engine.run.folders.owner import HOST, claim, owner_of
from engine.run.machine import processes
from engine.run.questions.doctor import answers, scoreboard
from engine.run.questions.doctor.cure import kept as record
from engine.run.recipes.recipe import Recipe

ALL = "all"  # in place of a rule that is to be tried
MOST_RUNS = 12
MOST_IN_VAIN = 4  # of one run's findings, the most promising first
Ask = Callable[[RunFolder], dict[str, Any]]  # the doctor's answer about a run
Tell = Callable[[dict[str, Any]], None]  # hears of each change of the record

ALL_WELL = "Nothing serious is left that the doctor could change"
IN_VAIN = "Nothing that the doctor proposes helps any more"
ENOUGH = f"{MOST_RUNS} changes were tried; it can go on from the last run"
STOPPED = "It was stopped"


def cure(
    folder: RunFolder,
    *,
    ask: Ask | None = None,
    work: answers.Work | None = None,
    tell: Tell | None = None,
) -> dict[str, Any]:
    """Try what the doctor proposes for a finished run, one change after another, each kept that helped.

    Returns the record of `cure.kept` with "before" and "after". What was run already is found, not computed
    again, so that a cure that was ended goes on where it was. UserError where another is at work on the run.
    """
    place = record.place_of(folder)
    place.mkdir(parents=True, exist_ok=True)
    lock = FileLock(place / processes.LOCK, timeout=0)
    try:
        with lock:
            course = _Course(folder, ask or answers.doctor, work or answers.run_to_end, tell)
            course.go()
            return course.kept | record.numbers_of(folder, course.kept)
    except Timeout:
        raise UserError(
            f"the doctor's changes of run {folder.run_id!r} are being tried already; wait for them to end"
        ) from None


class _Course:
    """One cure from its beginning to its end."""

    def __init__(self, folder: RunFolder, ask: Ask, work: answers.Work, tell: Tell | None) -> None:
        self._folder, self._ask, self._work, self._tell = folder, ask, work, tell
        self._owner = owner_of(record.place_of(folder))
        self._seen = {folder.run_id}
        self.kept = record.begun(folder)

    def go(self) -> None:
        best = self._folder
        try:
            while True:
                self._note(doing=record.LOOKS, run=best.run_id)
                better = self._first_that_helps(best, self._ask(best))
                if better is None:
                    return
                best = better
        except Exception as error:
            why = f"It broke off: {error}" if isinstance(error, UserError) else "It broke off"
            self._end(why, through=False)
            raise
        except BaseException:
            self._end(STOPPED, through=False)
            raise

    def _first_that_helps(self, run: RunFolder, found: dict[str, Any]) -> RunFolder | None:
        """The run of the first change that helps; None, and why in the record, where none does."""
        in_vain = 0
        for finding, recipe in self._worth_trying(run, found):
            if len(self.kept["steps"]) >= MOST_RUNS:
                self._end(ENOUGH)
                return None
            tried = self._tried(run, finding, recipe)
            if tried is not None:
                return tried
            in_vain += 1
            if in_vain >= MOST_IN_VAIN:
                break
        self._end(IN_VAIN if in_vain else ALL_WELL)
        return None

    def _worth_trying(
        self, run: RunFolder, found: dict[str, Any]
    ) -> Iterator[tuple[dict[str, Any], Recipe]]:
        """Findings that are more than notes, those of rules that have failed last, with their recipes.

        None of whose change nobody could tell whether it helped.
        """
        able = [one for one in found["findings"] if one["change"] and not one.get("untold")]
        serious = [one for one in able if one["severity"] != "note"]
        for finding in sorted(serious, key=lambda one: bool((one["track"] or {}).get("failed"))):
            try:
                recipe = answers.counterfactual(run, finding)
            except UserError:  # its quantizer cannot be given that
                continue
            if recipe.run_id not in self._seen and self._may_run(recipe):
                self._seen.add(recipe.run_id)
                yield finding, recipe

    def _may_run(self, recipe: Recipe) -> bool:
        """Whether the run is for whoever asked for this to be begun anew, where it must be."""
        place = self._folder.path.parent / recipe.run_id
        if self._owner == HOST or not (place / "recipe.json").exists():
            return True
        ended = RunFolder(place).status()["state"] not in (*ACTIVE, "done")
        return not ended or owner_of(place) == self._owner

    def _tried(self, run: RunFolder, finding: dict[str, Any], recipe: Recipe) -> RunFolder | None:
        """The finding's run where it helped."""
        step = {
            name: finding[name] for name in ("rule", "title", "layer", "predicted_gain", "band")
        }
        step |= {
            "from": run.run_id, "run": recipe.run_id, "change": finding["change"]["words"],
            "measured_gain": None, "unit": finding["unit"], "helped": None,
        }  # fmt: skip
        self.kept["steps"].append(step)
        self._note(doing=record.TRIES)
        claim(run.path.parent / recipe.run_id, self._owner, made="recipe.json")
        with suppress(UserError):  # it could not be begun: then it has no result
            answers.begin(run, finding, self._work)
        answers.settle(run.path.parent)
        other = RunFolder(run.path.parent / recipe.run_id)
        step |= _outcome(run, other, finding["unit"])
        self._note(doing=record.LOOKS)
        return other if step["helped"] else None

    def _end(self, why: str, *, through: bool = True) -> None:
        self._note(ended=why, through=through, doing="")

    def _note(self, **told: Any) -> None:
        self.kept |= told
        record.keep(self._folder, self.kept)
        if self._tell is not None:
            self._tell(self.kept)


def _outcome(before: RunFolder, after: RunFolder, unit: str) -> dict[str, Any]:
    """What the change did to the whole network; a run without a result has not helped."""
    results = before.result(), after.result()
    gain = None
    if results[0] is not None and results[1] is not None:
        wanted = unit if unit in scoreboard.RIGHT else ""
        gain = scoreboard.measured(wanted, results[0], results[1])
    if gain is None or results[0] is None or results[1] is None:
        return {"measured_gain": None, "unit": "", "helped": False}
    band = scoreboard.measured_band(gain[1], results[0], results[1])
    return {
        "measured_gain": gain[0], "unit": gain[1],
        "helped": scoreboard.helped(*gain, results[0], band),
    }  # fmt: skip
