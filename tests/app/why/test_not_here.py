"""No view of a run vanishes without a word: it is there, can be asked for, or a sentence says why not."""

import json
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app.panels.shared.ask_why import LATER, OPENED, PAUSED, RECORD, UNFINISHED
from app.panels.shared.not_here import missing_words
from engine.run.folders.folder import RunFolder
from engine.run.folders.opened import OPENED as OPENED_FILE
from tests.app.fabricate import Fabricated, fabricate
from tests.app.test_pages import opened, texts
from tests.app.why.conftest import student_kept

VIEWS = {
    "images": (
        "What do the images look like?", "Which layers agree already?", "Which image sets a layer's range?",
    ),
    "layers": (
        "What should I change?", "What does each layer cost?", "Where does the error enter?",
        "What is wrong with one layer?", "How few bits can I afford?", "how each block was learned",
        "What goes on inside", "How far did the weights move?", "Which layers mind most",
    ),
    "answers": (
        "What is lost, what is saved?", "Which answers change?", "What does it cost?",
        "How small do the codes get?", "Is it better than rounding to nearest?",
        "What are the images worth?",
    ),
}  # fmt: skip


def said(at: AppTest) -> str:
    labels = [one.label for kind in (at.button, at.expander) for one in kind]
    return "\n".join([texts(at), *labels])


def changed(folder: RunFolder, **result: Any) -> None:
    found = folder.result() or {}
    (folder.path / "result.json").write_text(json.dumps(found | result))


def without(folder: RunFolder, kinds: str) -> None:
    """The run's events without these, as if it had ended before them."""
    lines = folder.events_file.read_text().splitlines(keepends=True)
    left = [line for line in lines if not any(f'"{kind}"' in line for kind in kinds.split())]
    folder.events_file.write_text("".join(left))


def record(runs: Path) -> RunFolder:
    return fabricate(runs, Fabricated(views=True))


def from_a_bundle(runs: Path) -> RunFolder:
    folder = record(runs)
    (folder.path / OPENED_FILE).write_text(json.dumps({"bundle": "a.zsq"}))
    return folder


def paused(runs: Path) -> RunFolder:
    folder = fabricate(runs, Fabricated(state="running"))
    without(folder, "layer-measured")
    folder.write_status("paused")
    return folder


def failed(runs: Path) -> RunFolder:
    return fabricate(runs, Fabricated(state="failed"))


def older(runs: Path) -> RunFolder:
    folder = student_kept(fabricate(runs, Fabricated()))
    changed(folder, logit_kl=None, top1_band=None, size_bytes=None)
    return folder


def of_plain_rounding(runs: Path) -> RunFolder:
    return student_kept(fabricate(runs, Fabricated(quantization="nearest")))


def without_labels(runs: Path) -> RunFolder:
    return student_kept(fabricate(runs, Fabricated(labels=False)))


def without_batchnorm(runs: Path) -> RunFolder:
    folder = student_kept(fabricate(runs, Fabricated()))
    lines = [json.loads(line) for line in folder.events_file.read_text().splitlines()]
    lines = [e | {key: [] for key in ("bn_layers", "bn_gap") if key in e} for e in lines]
    folder.events_file.write_text("".join(f"{json.dumps(e)}\n" for e in lines))
    return folder


def without_classes(runs: Path) -> RunFolder:
    folder = student_kept(fabricate(runs, Fabricated(labels=False)))
    found = {
        "output_kind": "image",
        "psnr_db": 30.0,
        "output_sqnr_db": 20.0,
        "output_sqnr_least_db": 9.0,
    }
    changed(folder, agreement=None, logit_kl=None, top1_band=None, **found)
    return folder


@pytest.mark.parametrize(
    "make",
    [record, from_a_bundle, paused, failed, older, of_plain_rounding, without_labels, without_batchnorm,
     without_classes],
)  # fmt: skip
def test_every_view_is_there_or_a_sentence_is(
    make: Any, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.run.folders.folder.processes.is_at_work", lambda *_: True)
    folder = make(runs)
    for tab, views in VIEWS.items():
        told = said(opened(tab, run=folder.run_id))
        assert not [view for view in views if view not in told], tab


@pytest.mark.parametrize(
    ("make", "why"),
    [(record, RECORD), (from_a_bundle, OPENED), (paused, PAUSED), (failed, UNFINISHED)],
)
def test_the_sentence_says_why_and_what_to_do_once_for_all_views(
    make: Any, why: str, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.run.folders.folder.processes.is_at_work", lambda *_: True)
    run = make(runs).run_id
    at = opened("layers", "fader-more", "layer-more", run=run)
    (line,) = [one.value for one in at.caption if one.value.startswith(f"{why} Not here")]
    for view in (
        "What should I change?",
        "Where does this layer's error come from?",
        "How few bits can I afford?",
        "How far did the weights move?",
        "Which layers mind most",
    ):
        assert (view in line) is (view in said(at)), view
    for tab in VIEWS:
        assert said(opened(tab, run=run)).count(why) == 1, tab


def test_a_run_at_work_says_that_it_can_be_asked_later(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.run.folders.folder.processes.is_at_work", lambda *_: True)
    folder = fabricate(runs, Fabricated(state="running"))
    assert LATER in texts(opened("layers", run=folder.run_id))


def test_one_sentence_for_each_reason() -> None:
    assert missing_words({"A?": "No x.", "B?": "", "C?": "No x.", "D?": "No y."}) == [
        "No x. Not here for this reason: *A?*, *C?*", "No y. Not here for this reason: *D?*",
    ]  # fmt: skip
