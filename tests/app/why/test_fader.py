"""The fader: what follows from bits at once, what is measured, and what a run that cannot be asked says."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from app.charts.why.bits import front, matrix, needed, sqnr_bars
from app.panels.layers.fewer_bits.bit_choice import BitChoice, chosen_bits
from app.panels.layers.fewer_bits.fader import table, verdict
from engine.run.folders.folder import RunFolder
from engine.run.questions.why.fewer_bits.fader import follow_bits
from tests.app.fabricate import Fabricated, fabricate
from tests.app.test_pages import opened, texts
from tests.app.why.bits_found import FOUND, WIDTHS
from tests.app.why.conftest import Keep, student_kept


def test_the_verdict_says_what_the_tables_say() -> None:
    own, few = (
        follow_bits(
            FOUND, *({p: pair[k] for p, pair in chosen_bits(one, FOUND).items()} for k in (0, 1))
        )
        for one in (BitChoice(), BitChoice(network=(2, 8)))
    )
    assert "These are the run's own bits" in verdict(FOUND, own, own)
    said = verdict(FOUND, few, own)
    assert "**3 of 5 layers are over the cliff** (under 20 dB)" in said
    assert (
        f"predicted loss **{few.predicted_kl:.3g} nats**, more than the {own.predicted_kl:.3g}"
        in said
    )
    assert (
        "2.8 kB, 7.1 times smaller" in said
    )  # 3 layers of 250 bytes, 2 of 1000, 50 besides, of 20 kB


def test_bars_mark_the_cliff_and_the_fewest_bits() -> None:
    bits = chosen_bits(BitChoice(network=(2, 8)), FOUND)
    bars, needs = sqnr_bars(FOUND["layers"], [48.0, 9.0, 15.0, -3.0, 25.0], bits, "fc").figure[
        "data"
    ]
    assert needs["text"] == ["4", "2", ">8", "5", "4"]
    assert len(set(bars["marker"]["color"][:3])) == 3  # fine, over the cliff, bad
    assert bars["y"][3] == 0
    assert bars["customdata"][0] == ["W8", 48.0]
    assert needed(7) == "8"
    assert "conv1 needs 4" in matrix(FOUND["layers"]).alt


def test_the_front_has_what_was_predicted_measured_and_chosen() -> None:
    best, measured, own, mine = front(FOUND["front"], (3100, 0.2), (3000, 0.4)).figure["data"]
    assert best["x"] == pytest.approx([2.8, 3.3, 3.8])
    assert (measured["x"], measured["y"]) == (pytest.approx([3.3]), [0.3])
    assert "90.0%" in measured["customdata"][0]
    assert (own["x"], mine["x"]) == ([3.0], [3.1])


def test_moving_a_fader_writes_the_address(folder: RunFolder, keep: Keep, monkeypatch: Any) -> None:
    keep("bits", FOUND)
    at = opened("layers", run=folder.run_id, bits="3.5")
    assert at.slider(key="fader-w").value == 3
    monkeypatch.setattr("engine.run.questions.why.answers.answer_of", None)  # moving asks no engine
    at.slider(key="fader-a").set_value(6).run()
    assert not at.exception
    assert at.slider(key="fader-a").value == 6
    assert at.slider(key="fader-w").value == 3


def test_run_it_opens_new_run_with_these_bits(folder: RunFolder, keep: Keep) -> None:
    keep("bits", FOUND)
    at = opened("layers", run=folder.run_id, bits="3.5,fc:4.4", layer="fc")
    at.button(key="fader-run").click().run()
    draft = at.session_state["new-run"]
    assert (draft.wanted["weight_bits"], draft.wanted["activation_bits"]) == (3, 5)
    assert draft.bits == {"weight_bits": {"fc": 4}, "activation_bits": {"fc": 4}}


def test_one_layer_is_moved_alone(folder: RunFolder, keep: Keep) -> None:
    keep("bits", FOUND)
    at = opened("layers", run=folder.run_id, bits="3.5", layer="layer1.0.conv1", fader="layer")
    at.slider(key="fader-w").set_value(7).run()
    assert at.query_params["bits"] in (["3.5,layer1.0.conv1:7.5"], "3.5,layer1.0.conv1:7.5")
    at = opened("layers", run=folder.run_id, bits="3.5", layer="conv1", fader="layer")
    assert "reads the image" in texts(at)


def test_a_network_without_scores_has_no_front_and_says_so(folder: RunFolder, keep: Keep) -> None:
    tables = FOUND["tables"] | {"kl_weights": None, "kl_inputs": None}
    keep(
        "bits", FOUND | {"tables": tables, "front": [], "notes": ["It gives no scores of classes."]}
    )
    at = opened("layers", run=folder.run_id, bits="3.5")
    assert "no scores of classes" in texts(at)
    assert "predicted loss" not in texts(at)


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_a_run_that_ended_early_says_when_it_can_be_asked(runs: Path, state: str) -> None:
    folder = fabricate(runs, Fabricated(state=state))
    assert "When the run is done, every layer" in texts(
        opened("layers", run=folder.run_id, bits="3.3")
    )


def test_it_is_closed_until_asked_for_and_then_says_what_it_takes(runs: Path) -> None:
    folder = student_kept(fabricate(runs, Fabricated(seed=2)))
    assert "ask-bits" not in {one.key for one in opened("layers", run=folder.run_id).button}
    at = opened("layers", run=folder.run_id, bits="4.4")
    assert at.button(key="ask-bits").label == "Measure every layer at 2 to 8 bits"
    assert "It takes about" in texts(at)


def test_the_table_has_every_width() -> None:
    frame = table(FOUND)
    assert [name for name in frame if name.startswith("sqnr")] == [
        f"sqnr_db_{w}_bits" for w in WIDTHS
    ]
    assert frame["weight_bits"].tolist() == [8, 4, 4, 4, 8]


def test_the_bits_are_measured_beside_the_page_and_stand_beside_the_prediction(
    folder: RunFolder, keep: Keep, monkeypatch: Any
) -> None:
    keep("bits", FOUND)
    asked: list[Any] = []

    def answer(*words: str, **_: Any) -> dict[str, Any]:
        asked.append(json.loads(words[words.index("--at") + 1]))
        return {"kl": 0.123, "agreement": 0.9, "agreement_band": [0.85, 0.93], "images": 200}

    monkeypatch.setattr("engine.run.questions.why.answers.answer_of", answer)
    at = opened("layers", run=folder.run_id, bits="3.5")
    at.button(key="fader-measure").click().run()
    for _ in range(50):
        if "0.123 nats" in texts(at):
            break
        time.sleep(0.05)
        at.run()
    assert "**0.123 nats**, 90.0% of 200 answers stay" in texts(at)
    (measured,) = asked
    assert measured["weight_bits"]["layer1.0.conv2"] == 3
    assert "conv1" not in measured["activation_bits"]  # it reads the image
    assert "fader-measure" not in {one.key for one in at.button}
    drawn = front(FOUND["front"], (3100, 0.2), (3000, 0.4), 0.123).figure["data"][-1]
    assert (drawn["x"], drawn["y"]) == ([3.1], [0.123])
