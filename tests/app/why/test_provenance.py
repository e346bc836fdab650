"""Where errors come from: parts that add up, the way out that the sentence names, and every kind of run."""

import time
from pathlib import Path
from typing import Any

import pytest

from app.charts.why.provenance import stacked, waterfall
from app.panels.layers.provenance import Remedy, remedy_for, table, with_remedy
from app.panels.shared.ask_why import LATER, PAUSED, UNFINISHED
from engine.core.errors import UserError
from engine.run.folders.folder import RunFolder
from engine.run.questions.why import answers
from tests.app.fabricate import Fabricated, fabricate
from tests.app.test_pages import opened, texts
from tests.app.why.conftest import Keep, student_kept


def row(
    path: str, shares: tuple[float, ...] | None, db: float = 12.0, **more: Any
) -> dict[str, Any]:
    parts = ("weights", "activations", "inherited", "interaction")
    share = None if shares is None else dict(zip(parts, shares, strict=True))
    found = {
        "path": path,
        "block": "b",
        "sqnr_local_db": 20.0,
        "sqnr_accumulated_db": db,
        "share": share,
    }
    return found | {"origin": "", "origin_gain": 0.0, "verdict": f"About {path}."} | more


ROWS = [
    row("conv1", (1.0, 0.0, 0.0, 0.0), db=45.0),
    row("layer1.0.conv1", (0.3, 0.8, 0.0, -0.1)),
    row("layer1.0.conv2", (0.2, 0.1, 0.75, -0.05), origin="layer1.0.conv1", origin_gain=0.5),
    row("fc", (0.1, 0.1, 0.2, 0.6)),
]
FOUND: dict[str, Any] = {
    "run": "r", "images": 64, "image_set": "Fashion-MNIST test", "layers": ROWS,
    "sentence": "fc, the last layer, errs.", "notes": [],
}  # fmt: skip


def test_a_waterfall_goes_from_nothing_to_the_whole_and_back_where_a_part_is_negative() -> None:
    (bars,) = waterfall(ROWS[2]).figure["data"]
    assert bars["base"] == pytest.approx([0, 0.2, 0.3, 1.0, 0])
    assert bars["x"] == pytest.approx([0.2, 0.1, 0.75, 0.05, 1.0])
    ends = [b + x for b, x in zip(bars["base"], bars["x"], strict=True)]
    assert ends[:3] == pytest.approx([0.2, 0.3, 1.05])  # each begins where the one before ended
    assert bars["marker"]["pattern"]["shape"] == ["", "", "", "/", ""]
    assert bars["text"] == ["20\u00a0%", "10\u00a0%", "75\u00a0%", "−5\u00a0%", "100\u00a0%"]
    assert "came in with its input 75\u00a0%" in waterfall(ROWS[2]).alt


def test_the_bars_of_every_layer_add_up_to_one_and_small_errors_are_pale() -> None:
    unknown = row("dead", None, db=100.0)
    figure = stacked([*ROWS, unknown], "fc").figure
    for k, one in enumerate(ROWS):
        assert sum(trace["y"][k] for trace in figure["data"]) == pytest.approx(1), one["path"]
    assert all(trace["y"][-1] is None for trace in figure["data"])
    assert figure["data"][0]["marker"]["opacity"][:2] == [0.35, 1.0]
    assert figure["layout"]["barmode"] == "relative"
    assert "<b>▸ fc</b>" in figure["layout"]["xaxis"]["ticktext"]


def test_the_action_follows_the_sentence(folder: RunFolder) -> None:
    recipe = folder.recipe
    found = {path: remedy_for(FOUND, path, folder) for path in (one["path"] for one in ROWS)}
    assert "nothing to mend" in str(found["conv1"])
    by_input = Remedy(
        path="layer1.0.conv1",
        kind="activation_bits",
        label="Try the input of layer1.0.conv1 at 8 bits",
    )
    assert found["layer1.0.conv1"] == by_input
    assert found["layer1.0.conv2"] == by_input  # that is where its error came in from
    assert "Measure first" in str(found["fc"])
    alone = FOUND | {"layers": [row("a", (0.1, 0.1, 0.8, 0.0))]}
    everywhere = remedy_for(alone, "a", folder)
    assert isinstance(everywhere, Remedy)
    assert everywhere.label == "Try all layers at 5 bits"
    assert with_remedy(recipe, everywhere)["activation_bits"] == 5
    bits = with_remedy(recipe, by_input)["quantization_settings"]["bits"]
    assert bits == {"activation_bits": {"layer1.0.conv1": 8}}


def test_the_table_has_every_share(folder: RunFolder) -> None:
    frame = table(FOUND)
    parts = frame[["weights", "activations", "inherited", "interaction"]]
    assert parts.sum(axis=1).tolist() == pytest.approx([1] * 4)
    assert frame["origin"].tolist()[2] == "layer1.0.conv1"


def test_a_kept_answer_stands_on_the_page_and_its_button_opens_new_run(
    folder: RunFolder, keep: Keep
) -> None:
    keep("explain", FOUND)
    at = opened("layers", run=folder.run_id, layer="layer1.0.conv2")
    assert "About layer1.0.conv2." in texts(at)
    keys = {one.key for one in at.get("bidi_component")}
    assert f"provenance-{folder.run_id}" in keys
    assert any(str(key).startswith("bars") for key in keys)  # the bars stay
    at.button(key="provenance-try").click().run()
    draft = at.session_state["new-run"]
    assert draft.bits == {"activation_bits": {"layer1.0.conv1": 8}}
    at = opened("layers", run=folder.run_id, by="origin")
    assert "fc, the last layer, errs." in texts(at)
    assert "Where does the error of every layer come from?" in texts(at)


def test_it_is_asked_for_once_with_what_it_does(folder: RunFolder, monkeypatch: Any) -> None:
    asked = []

    def answer(*words: str, **_: Any) -> dict[str, Any]:
        asked.append(words)
        return FOUND

    monkeypatch.setattr(answers, "answer_of", answer)
    at = opened("layers", run=folder.run_id)
    assert "is kept" in texts(at)
    assert not asked
    at.button(key="ask-explain").click().run()
    for _ in range(50):
        if "About" in texts(at):
            break
        time.sleep(0.05)
        at.run()
    assert "About fc." in texts(at)
    assert asked == [("explain", folder.run_id, "--json", "--runs", str(folder.path.parent))]


def test_a_refusal_is_told_in_a_line(runs: Path, monkeypatch: Any) -> None:
    folder = student_kept(fabricate(runs, Fabricated(seed=5)))

    def refuse(*_: str, **__: Any) -> dict[str, Any]:
        raise UserError("the network's file is gone")

    monkeypatch.setattr(answers, "answer_of", refuse)
    at = opened("layers", run=folder.run_id)
    at.button(key="ask-explain").click().run()
    for _ in range(50):
        if at.error:
            break
        time.sleep(0.05)
        at.run()
    assert at.error[0].value == "the network's file is gone"


@pytest.mark.parametrize(
    ("state", "words"),
    [("failed", UNFINISHED), ("cancelled", UNFINISHED), ("running", LATER), ("paused", PAUSED)],
)
def test_a_run_that_is_not_finished_says_when_it_can_be_asked(
    runs: Path, state: str, words: str
) -> None:
    folder = fabricate(runs, Fabricated(state=state))
    at = opened("layers", run=folder.run_id)
    assert words in texts(at)
    assert not any(str(button.key).startswith("ask-") for button in at.button)


def test_a_record_without_its_student_says_so(runs: Path) -> None:
    folder = fabricate(runs, Fabricated())
    at = opened("layers", run=folder.run_id)
    assert "a record alone" in texts(at)
    assert not any(str(button.key).startswith("ask-") for button in at.button)


def test_a_layer_that_was_not_split_says_so(folder: RunFolder, keep: Keep) -> None:
    keep("explain", FOUND | {"layers": ROWS[:2], "notes": ["Counted elsewhere."]})
    assert "not quantized" in texts(opened("layers", run=folder.run_id, layer="fc"))
