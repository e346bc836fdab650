"""No page tells a run by its id, a setting by its dotted name, or what only the command line has."""

import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.wording.engine_words import OTHER_VERSION, page_sentence, page_words
from engine.core import events
from engine.run.folders.folder import RunFolder
from tests.app.fabricate import Fabricated, fabricate
from tests.app.places import TABS
from tests.app.test_pages import opened, texts

RUN_ID = r"\w_w\d+a\d+_[0-9a-f]{8}"
OPTION = r"(?<![\w-])--[a-z]"
SETTING = r"\b(model|synthesis|quantization)\.[a-z_]+\b"
CODE = re.compile(f"{RUN_ID}|{OPTION}|{SETTING}|python -m engine")
HEAD = re.compile(r"\.(?:sub)?header\([^\n]*")
ASSETS = Path(__file__).parents[2] / "assets" / "recorded"


def code_in(at: AppTest) -> list[str]:
    """What of a page's texts is code, labels of buttons included; but for what tells how to measure anew."""
    labels = "\n".join(str(one.label) for one in (*at.button, *at.selectbox, *at.expander))
    found = [one[0] for one in CODE.finditer(f"{texts(at)}\n{labels}")]
    for measured in (one for one in at.expander if one.label.startswith("How is this measured")):
        for kind in (measured.markdown, measured.caption):
            for one in CODE.finditer("\n".join(str(text.value) for text in kind)):
                found.remove(one[0])
    return found


def noted(folder: RunFolder, *messages: str) -> RunFolder:
    """The folder of a run that noted this, as the engine words it."""
    for message in messages:
        folder.append(events.Noted(message=message))
    return folder


@pytest.mark.parametrize("state", ["failed", "paused", "cancelled", "done"])
def test_a_run_is_told_without_code(state: str, runs: Path) -> None:
    source = fabricate(runs, Fabricated(seed=9))
    folder = noted(
        fabricate(runs, Fabricated(state=state)),
        f"The images are those of run {source.run_id}: the same recipe up to the quantizer.",
        f"Forked from run {source.run_id} at step 9, with steps 10.",
        "This network has no BatchNorm to correct; quantization.bias_correction does the like.",
        "It needs real images (--synthesis real --set model.calibration=FOLDER).",
    )
    for tab in TABS:
        at = opened(tab, run=folder.run_id)
        assert code_in(at) == [], tab
        told = "ResNet-20 · W4A4 · images: Genie · quantizer: GENIE-M"
        assert f"The images are those of the run “{told}”" in texts(at)
    assert code_in(opened("runs")) == []


@pytest.mark.parametrize("page", ["start", *TABS, "runs", "evidence"])
def test_the_recorded_run_is_told_without_code(
    page: str, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUANTOSCOPE_RECORDED", str(ASSETS))
    assert code_in(opened(page)) == []


def test_a_run_that_ended_early_is_resumed_in_one_place(runs: Path) -> None:
    folder = fabricate(runs, Fabricated(state="failed"))
    at = opened("layers", run=folder.run_id)
    assert [one.label for one in at.button if "esume" in one.label] == ["Resume this run"]
    controls = Path(__file__).parents[2] / "app" / "components" / "steering" / "controls.html"
    assert "resume" not in controls.read_text()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("make the images from the statistics (genie)", "make the images from the statistics (Genie)"),
        ("take a smaller batch (synthesis.steps)", "take a smaller batch (“Steps”)"),
        ("synthesis.unheard=false", "“unheard”"),
        ("the block model.layer of (fc) stays", "the block model.layer of (fc) stays"),
        ("Give a folder of real images (--data) for it.", "Give a folder of real images for it."),
        ("try a run with --synthesis noise", "try a run with the images Noise"),
        ("run small_genie_nearest_w2a4_0123abcd", "a run that is not here any more"),
        ("in /a/b_w2a4_0123abcd/x.pt", "in /a/b_w2a4_0123abcd/x.pt"),
        ("Computed by engine 0.1.0+9f606e10; this is 0.1.0+6889bdb4.", OTHER_VERSION),
        ("type `python -m engine run --data X`", "type `python -m engine run --data X`"),
        (
            "data '/tmp/nowhere' is not a folder; give one",
            "The folder of test images '/tmp/nowhere' is not a folder; give one",
        ),
    ],
)  # fmt: skip
def test_the_engines_sentences_are_worded_for_a_page(said: str, told: str, runs: Path) -> None:
    assert page_words(said) == told


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("the run grew too large (1 of 1 GB)", "The run grew too large (1 of 1 GB)."),
        ("Memory ran out.", "Memory ran out."),
        ("", ""),
    ],
)
def test_why_a_run_failed_is_a_sentence(said: str, told: str, runs: Path) -> None:
    assert page_sentence(said) == told


def test_every_question_of_a_run_a_comparison_and_a_sweep_has_its_definition_beside_it() -> None:
    app = Path(__file__).parents[2] / "app"
    files = [app / "views" / "runs.py", *(app / "views" / "tabs").glob("*.py")]
    for room in ("answers", "compare", "doctor", "images", "layers", "sweeps"):
        files += (app / "panels" / room).rglob("*.py")
    heads = [(one.name, head) for one in files for head in HEAD.findall(one.read_text())]
    assert len(heads) > 20
    assert [head for head in heads if "?" in head[1] and "help=" not in head[1]] == []
    assert [head for head in heads if "TITLE" in head[1] and "help=" not in head[1]] == []
