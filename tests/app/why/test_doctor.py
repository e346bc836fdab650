"""The doctor on a run's page: asked, told, tried; and the charts of what its findings stand on."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.charts.why.doctor import evidence_chart, evidence_words
from app.panels.doctor import finding as cards
from engine.run.folders.folder import RunFolder
from engine.run.questions.doctor import scoreboard
from engine.run.questions.why import answers
from engine.run.workers import launch
from tests.app.fabricate import Fabricated, fabricate, result
from tests.app.test_pages import opened, texts
from tests.app.why.conftest import Keep, student_kept

FINDING: dict[str, Any] = {
    "rule": "past-cliff", "title": "A layer past its cliff", "source": "our own measurements",
    "layer": "conv1", "cause": "The error of conv1 is large.", "severity": "red",
    "evidence": {"sqnr_db": 9.0, "channels": [1.0, 8.0, 1.0], "channel": 1},
    "predicted_gain": 0.3, "band": [0.2, 0.4], "unit": "KL",
    "change": {
        "words": "give conv1 6 bits", "weight_bits": {"conv1": 6}, "activation_bits": {}, "quantization": "",
        "quantization_settings": {}, "synthesis": "", "synthesis_settings": {}, "model_settings": {},
        "images": 0, "leave_out": [],
    },
}  # fmt: skip
FOUND: dict[str, Any] = {
    "run": "r", "loss": {"value": 0.6, "unit": "KL", "images": 256, "agreement": 0.8},
    "sentence": "Look at conv1 first.", "notes": [], "findings": [FINDING],
}  # fmt: skip


def test_it_is_asked_with_a_button_that_says_what_it_does(folder: RunFolder) -> None:
    at = opened("layers", run=folder.run_id)
    button = next(one for one in at.button if one.key == "ask-doctor")
    assert "seconds" in button.help


def test_a_finding_is_told_with_its_layer_its_change_and_what_that_would_gain(
    folder: RunFolder, keep: Keep
) -> None:
    keep("doctor", FOUND | {"run": folder.run_id})
    told = texts(opened("layers", run=folder.run_id))
    for words in (
        "Look at conv1 first.",
        "`conv1`",
        "Give conv1 6 bits",
        "50\u00a0% of all that is lost",
    ):
        assert words in told


@pytest.mark.parametrize(("labels", "untold"), [(True, False), (False, True)])
def test_a_change_of_the_float_network_is_told_by_labels_or_said_to_be_untold(
    runs: Path, labels: bool, untold: bool
) -> None:
    folder = student_kept(fabricate(runs, Fabricated(labels=labels)))
    by_labels = FINDING | {"unit": "top1", "predicted_gain": None, "band": None}
    answers.answer(
        folder, "doctor", lambda: FOUND | {"run": folder.run_id, "findings": [by_labels]}
    )
    at = opened("layers", run=folder.run_id)
    assert ("not even by a run" in texts(at)) is untold
    (button,) = [one for one in at.button if one.key == "try-0"]
    assert button.label == ("Run it" if untold else "Try it")


def test_to_try_it_starts_the_run_with_the_change_and_its_gain_stands_there_afterwards(
    folder: RunFolder, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep("doctor", FOUND | {"run": folder.run_id})
    started: list[Any] = []

    def start(recipe: Any, runs: Path) -> RunFolder:
        started.append(recipe)
        tried = RunFolder.create(runs, recipe)
        tried.finish(result(tried, Fabricated()) | {"logit_kl": 0.0})
        tried.write_status("done")
        return tried

    monkeypatch.setattr(launch, "start", start)
    before = folder.result() or {}
    at = opened("layers", run=folder.run_id)
    next(one for one in at.button if one.key == "try-0").click()
    at.run()
    assert [one.quantization_settings["bits"]["weight_bits"] for one in started] == [{"conv1": 6}]
    for _ in waited():
        if rows := scoreboard.rows(folder.path.parent):
            break
    assert rows[0]["measured_gain"] == pytest.approx(before["logit_kl"])
    told = texts(opened("layers", run=folder.run_id))
    assert "It helped" in told
    assert "the teacher's (0.3 predicted)" in told


def test_the_scoreboard_is_handed_out_as_a_table(
    folder: RunFolder, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"rule": "past-cliff", "tried": 3, "helped": 2, "held": 1, "banded": 2}
    monkeypatch.setattr("app.panels.doctor.doctor.board", lambda _: [row])
    keep("doctor", FOUND | {"run": folder.run_id})
    at = opened("layers", "doctor-more", run=folder.run_id)
    assert "How good has the doctor's advice been?" in texts(at)
    assert any("scoreboard-csv" in one.proto.id for one in at.get("download_button"))


def waited() -> Iterator[None]:
    for _ in range(100):
        yield
        time.sleep(0.1)


def test_a_record_without_its_student_is_not_asked(runs: Path) -> None:
    at = opened("layers", run=fabricate(runs, Fabricated()).run_id)
    assert not [one for one in at.button if one.key == "ask-doctor"]
    assert "*What should I change?*" in texts(at)


@pytest.mark.parametrize(
    ("gain", "unit", "words"),
    [
        (0.3, "KL", "0.3 nats nearer to"), (-0.3, "KL", "0.3 nats further from"),
        (0.02, "top1", "+2.00 points"), (4.0, "dB of the layer", "+4.0 dB of the layer"),
    ],
)  # fmt: skip
def test_gains_are_told_in_their_units(gain: float, unit: str, words: str) -> None:
    told = cards.gain_words(FINDING | {"predicted_gain": gain, "unit": unit}, FOUND["loss"])
    assert words in told


def test_what_cannot_be_predicted_says_so() -> None:
    assert "cannot be told" in cards.gain_words(FINDING | {"predicted_gain": None}, FOUND["loss"])


def test_what_did_not_help_says_so() -> None:
    tried = {"run": "x", "measured_gain": -0.1, "unit": "KL", "helped": False}
    assert "did not help" in cards.measured_words(tried, FINDING)


def test_evidence_is_bars_of_its_longest_row_with_the_channel_in_question_marked() -> None:
    chart = evidence_chart(FINDING["evidence"])
    assert chart is not None
    bars = chart.figure["data"][0]
    assert bars["y"] == [1.0, 8.0, 1.0]
    first, second, third = bars["marker"]["color"]
    assert first == third != second
    assert "from 1 to 8" in chart.alt


def test_evidence_by_layer_names_the_layers_and_single_numbers_are_words() -> None:
    chart = evidence_chart({"pairs": {"a": 2.0, "b": 9.0}, "ratio": 9.0})
    assert chart is not None
    assert chart.figure["data"][0]["x"] == ["a", "b"]
    assert evidence_words({"pairs": {"a": 2.0, "b": 9.0}, "ratio": 9.0}) == "over the median: 9"
    assert evidence_chart({"ratio": 9.0, "layers": ["a", "b"]}) is None
