"""Do it all, on a run's page: begun with a button, told step by step, stopped and gone on with."""

import time
from typing import Any

import pytest

from app.engine_calls import cures
from app.panels.doctor import do_it_all
from engine.run.folders.folder import RunFolder
from engine.run.questions.doctor.cure import kept, process
from tests.app.fabricate import Fabricated, fabricate
from tests.app.test_pages import opened, texts
from tests.app.why.conftest import Keep
from tests.app.why.test_doctor import FOUND

STEP: dict[str, Any] = {
    "from": "r", "run": "s", "rule": "past-cliff", "title": "A layer past its cliff", "layer": "conv1",
    "change": "give conv1 6 bits", "predicted_gain": 0.3, "band": [0.2, 0.4], "measured_gain": 0.25,
    "unit": "KL", "helped": True,
}  # fmt: skip


@pytest.fixture
def asked(folder: RunFolder, keep: Keep) -> RunFolder:
    keep("doctor", FOUND | {"run": folder.run_id})
    return folder


def keep_course(folder: RunFolder, **told: Any) -> None:
    kept.keep(folder, kept.begun(folder) | told)


def button(at: Any, key: str) -> Any:
    return next((one for one in at.button if one.key == key), None)


def test_the_button_starts_a_process_of_its_own(
    asked: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    monkeypatch.setattr(process, "begin", lambda folder: begun.append(folder.run_id))
    at = opened("layers", run=asked.run_id)
    there = button(at, "do-it-all")
    assert "when this page is closed" in there.help
    there.click()
    at.run()
    assert begun == [asked.run_id]


def test_nothing_is_offered_where_there_are_notes_alone(folder: RunFolder, keep: Keep) -> None:
    notes = [one | {"severity": "note"} for one in FOUND["findings"]]
    keep("doctor", FOUND | {"run": folder.run_id, "findings": notes})
    assert button(opened("layers", run=folder.run_id), "do-it-all") is None


def test_what_was_tried_is_told_with_what_it_made_of_the_network(
    asked: RunFolder, runs: Any
) -> None:
    best = fabricate(runs, Fabricated(seed=7, top1=0.91))
    steps = [STEP | {"helped": False, "measured_gain": -0.1}, STEP | {"run": best.run_id}]
    keep_course(asked, steps=steps, run=best.run_id, ended="Nothing helps", through=True, doing="")
    at = opened("layers", "cure-tried", run=asked.run_id)
    told = texts(at)
    for words in (
        "1 of 2 changes helped",
        "accuracy 88.0\u00a0% → 91.0\u00a0%",
        "Nothing helps.",
        "did not help, and was left",
        "helped, and was kept: the answers 0.25 nats nearer",
    ):
        assert words in told
    assert button(at, "do-it-all") is None  # it is through


def test_a_course_whose_process_is_gone_can_go_on(asked: RunFolder) -> None:
    keep_course(asked, steps=[STEP | {"helped": None, "measured_gain": None}], doing=kept.TRIES)
    at = opened("layers", run=asked.run_id)
    assert "before it was through" in texts(at)
    assert button(at, "do-it-all").label == "Go on"
    assert button(at, "cure-stop") is None


def test_a_course_at_work_can_be_stopped(asked: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[str] = []
    monkeypatch.setattr(process, "is_at_work", lambda _folder: True)
    monkeypatch.setattr(process, "stop", lambda folder: stopped.append(folder.run_id))
    keep_course(asked)
    at = opened("layers", run=asked.run_id)
    assert "looks at the best run so far" in texts(at)
    button(at, "cure-stop").click()
    at.run()
    assert stopped == [asked.run_id]


def test_a_step_whose_run_broke_says_so() -> None:
    assert "did not end well" in do_it_all.step_words(
        STEP | {"helped": False, "measured_gain": None}
    )


def test_a_process_is_begun_found_and_ends_by_itself(folder: RunFolder) -> None:
    process.begin(folder)  # the run has no student that could be opened: the doctor refuses it
    assert process.is_at_work(folder)
    process.begin(folder)  # is the same one
    process.stop(folder)
    for _ in range(600):
        if not process.is_at_work(folder):
            break
        time.sleep(0.1)
    course = cures.course_of(folder)
    assert course is not None
    assert not course.at_work
    assert not course.through


def test_the_change_at_work_is_told_and_what_was_tried_before_is_closed(
    asked: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "is_at_work", lambda _folder: True)
    steps = [STEP | {"change": f"give conv{k} 6 bits"} for k in range(5)]
    steps[4] |= {"helped": None, "measured_gain": None}
    keep_course(asked, steps=steps, doing=kept.TRIES)
    at = opened("layers", run=asked.run_id)
    told = texts(at)
    assert "4 of 4 changes helped" in told
    assert [f"Give conv{k} 6 bits" in told for k in range(5)] == [False] * 4 + [True]
    closed = [one.label for one in at.expander]
    assert "What was tried: 4 changes" in closed
    assert any(label.startswith(f"{len(FOUND['findings'])} finding") for label in closed), closed
    at = opened("layers", "cure-tried", run=asked.run_id)
    assert all(f"Give conv{k} 6 bits" in texts(at) for k in range(5))
