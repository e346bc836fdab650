"""The fader: what follows from bits at once, what is measured, and what a run that cannot be asked says."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
import streamlit as st

from app.charts.why.bits import front, matrix, needed, sqnr_bars
from app.panels.layers.fewer_bits.bit_choice import BitChoice, chosen_bits
from app.panels.layers.fewer_bits.fader import for_browser, table
from app.panels.shared.ask_why import UNFINISHED
from engine.run.folders.folder import RunFolder
from tests.app.fabricate import Fabricated, fabricate
from tests.app.test_pages import opened, texts
from tests.app.why.bits_found import FOUND, WIDTHS
from tests.app.why.conftest import Keep, student_kept


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the faders of a page were given."""
    kept: list[dict[str, Any]] = []
    monkeypatch.setattr("app.components.mount.fader", lambda **given: kept.append(given))
    return kept


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
    assert "90.0\u00a0%" in measured["customdata"][0]
    assert (own["x"], mine["x"]) == ([3.0], [3.1])


def test_the_front_s_axes_stay_where_they_are_while_the_choice_moves() -> None:
    ends = [(2550, 1.2), (6050, 0.05)]
    axes = [
        [front(FOUND["front"], mine, (3000, 0.4), None, ends).figure["layout"][f"{side}axis"]["range"]
         for side in "xy"]
        for mine in ((2600, 1.0), (6000, 0.06))
    ]  # fmt: skip
    assert axes[0] == axes[1]
    (left, right), (low, high) = axes[0]
    assert left < 2.55 < 6.05 < right
    assert 10**low < 0.05 < 1.2 < 10**high


def test_what_a_browser_is_told_is_what_the_address_says(
    folder: RunFolder, keep: Keep, told: list[dict[str, Any]], monkeypatch: Any
) -> None:
    keep("bits", FOUND)
    monkeypatch.setattr("engine.run.questions.why.answers.answer_of", None)  # moving asks no engine
    opened("layers", run=folder.run_id, bits="3.5,fc:4.4", layer="fc", fader="layer")
    assert told[-1]["choice"] == {
        "network": (3, 5),
        "point": None,
        "inputs": None,
        "alone": [("fc", (4, 4))],
    }
    assert (told[-1]["layer"], told[-1]["scope"]) == ("fc", "layer")
    opened("layers", run=folder.run_id, bits="front.2", fader="layer")
    assert told[-1]["choice"] == {"network": None, "point": 2, "inputs": None, "alone": []}
    opened("layers", run=folder.run_id, bits="9.x,nowhere:3.3,fc:", layer="nowhere", fader="all")
    assert told[-1]["choice"] == {"network": None, "point": None, "inputs": None, "alone": []}
    assert told[-1]["scope"] == "network"


def test_it_is_as_much_smaller_as_the_run_s_result_says(
    folder: RunFolder, keep: Keep, told: list[dict[str, Any]]
) -> None:
    keep("bits", FOUND)
    opened("layers", run=folder.run_id, bits="3.5")
    assert told[-1]["found"]["float_bytes"] == (folder.result() or {})["size_bytes"]["fp32"]


def test_it_stays_open_when_what_it_waited_for_comes(
    folder: RunFolder, keep: Keep, monkeypatch: Any
) -> None:
    begins: list[bool] = []
    expander = st.expander

    def noted(label: str, **more: Any) -> Any:
        if more.get("key") == "fader-more":
            begins.append(more["expanded"])
        return expander(label, **more)

    monkeypatch.setattr("app.panels.layers.fewer_bits.fader.st.expander", noted)
    pending = True
    monkeypatch.setattr("app.panels.layers.fewer_bits.fader.is_pending", lambda *_: pending)
    at = opened("layers", run=folder.run_id)
    pending = False
    keep("bits", FOUND)
    at.run()
    assert begins == [True, True]


def test_run_it_opens_new_run_with_these_bits(folder: RunFolder, keep: Keep) -> None:
    keep("bits", FOUND)
    at = opened("layers", run=folder.run_id, bits="3.5,fc:4.4", layer="fc")
    at.button(key="fader-run").click().run()
    draft = at.session_state["new-run"]
    assert (draft.wanted["weight_bits"], draft.wanted["activation_bits"]) == (3, 5)
    assert draft.bits == {"weight_bits": {"fc": 4}, "activation_bits": {"fc": 4}}
    (group,) = [one for one in at.expander if one.label.startswith("Bits, layer by layer")]
    assert any("1 layer changed" in one.proto.body for one in at.get("html"))
    assert group.proto.expanded


def test_a_network_without_scores_has_no_front_and_says_so(
    folder: RunFolder, keep: Keep, told: list[dict[str, Any]]
) -> None:
    tables = FOUND["tables"] | {"kl_weights": None, "kl_inputs": None}
    keep(
        "bits", FOUND | {"tables": tables, "front": [], "notes": ["It gives no scores of classes."]}
    )
    at = opened("layers", run=folder.run_id, bits="3.5")
    assert "no scores of classes" in texts(at)
    assert told[-1]["found"]["tables"]["kl_weights"] is None
    assert "fader-measure" not in {one.key for one in at.button}


def test_no_number_without_end_goes_to_a_browser() -> None:
    tables = FOUND["tables"]
    odd = [[[float("inf")] * 8] * 7, *tables["noise"][1:]]
    kl = [[float("nan")] * 7, *tables["kl_weights"][1:]]
    found = for_browser(FOUND | {"tables": tables | {"noise": odd, "kl_weights": kl}})
    assert json.dumps(found, allow_nan=False)
    assert found["tables"]["sqnr_db"][0][0][0] == -100
    assert found["tables"]["kl_inputs"] is None  # half a sum is none


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_a_run_that_ended_early_says_when_it_can_be_asked(runs: Path, state: str) -> None:
    folder = fabricate(runs, Fabricated(state=state))
    assert UNFINISHED in texts(opened("layers", run=folder.run_id, bits="3.3"))


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
        own = {"kl": 0.456, "agreement": 0.825}
        band = [0.85, 0.93]
        return {"kl": 0.123, "agreement": 0.9, "agreement_band": band, "images": 200, "own": own}

    monkeypatch.setattr("engine.run.questions.why.answers.answer_of", answer)
    at = opened("layers", run=folder.run_id, bits="3.5")
    at.button(key="fader-measure").click().run()
    for _ in range(50):
        if "0.123 nats" in texts(at):
            break
        time.sleep(0.05)
        at.run()
    assert "**0.123 nats**, 90.0\u00a0% of 200 answers stay" in texts(at)
    assert "The run's own bits, rounded alike: 0.456 nats, 82.5\u00a0%." in texts(at)
    (measured,) = asked
    assert measured["weight_bits"]["layer1.0.conv2"] == 3
    assert "conv1" not in measured["activation_bits"]  # it reads the image
    assert "fader-measure" not in {one.key for one in at.button}
    drawn = front(FOUND["front"], (3100, 0.2), (3000, 0.4), 0.123).figure["data"][-1]
    assert (drawn["x"], drawn["y"]) == ([3.1], [0.123])
