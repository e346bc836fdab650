"""The head of a run tells what is at work, not what was."""

from pathlib import Path

from app.panels.head.controls import _facts
from app.run_files.history import read_history
from engine.core.events import StageStarted, Stepped
from tests.app.fabricate import Fabricated, fabricate


def test_the_last_step_of_a_stage_that_is_over_is_not_told(runs: Path) -> None:
    folder = fabricate(runs, Fabricated(state="running"))
    folder.append(StageStarted(stage="synthesis", total_steps=9))
    folder.append(Stepped(stage="synthesis", part="batch 1", step=3, losses={}))
    assert _facts(folder, read_history(folder))["last"]["step"] == 3
    folder.append(StageStarted(stage="evaluation", total_steps=9))
    assert _facts(folder, read_history(folder))["last"] is None
    folder.append(Stepped(stage="evaluation", part="student", step=1, losses={}))
    assert _facts(folder, read_history(folder))["last"]["stage"] == "evaluation"
