"""What each layer costs a finished run: offered, waited for, shown, and kept beside the run."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from app.charts.layers.layer_costs import gains, measures_known
from app.panels.layers.layer_costs import cost_table, cost_words, sure_words
from engine.core.errors import UserError
from engine.run.folders.folder import RunFolder
from engine.run.questions.costs import layer_costs
from tests.app.fabricate import Fabricated, fabricate
from tests.app.test_pages import opened, texts
from tests.app.why.conftest import student_kept


def row(path: str, whole: float, weights: float, read: float | None) -> dict[str, Any]:
    return {
        "path": path, "kl_gain": whole, "weights_kl_gain": weights, "input_kl_gain": read,
        "top1_gain": 0.01, "weights_top1_gain": 0.0, "input_top1_gain": None if read is None else 0.0,
    }  # fmt: skip


FOUND: dict[str, Any] = {
    "run": "r", "images": 1000, "test_set": "Fashion-MNIST test", "kl": 0.04, "top1": 0.88,
    "layers": [row("conv1", 0.004, 0.004, None), row("layer1.0.conv1", 0.02, 0.015, 0.004),
               row("fc", -0.001, -0.001, 0.0)],
}  # fmt: skip


def test_the_layer_that_costs_most_is_named_with_its_share_and_who_is_to_blame() -> None:
    said = cost_words(FOUND)
    assert "**layer1.0.conv1** costs most" in said
    assert "50\u00a0% of the student's distance" in said
    assert "Mostly its weights (0.015 by its weights alone, 0.004 by its input)" in said
    alike = [row("a", 0.02, 0.01, 0.012)]
    assert "Weights and input cost alike" in cost_words(FOUND | {"layers": alike})
    assert "No single layer" in cost_words(FOUND | {"layers": [FOUND["layers"][2]]})


def test_bars_stand_in_the_order_of_the_layers_with_their_sign() -> None:
    whole, weights, read = gains(FOUND).figure["data"]
    assert whole["x"] == ["conv1", "layer1.0.conv1", "fc"]
    assert whole["y"] == [0.004, 0.02, -0.001]
    assert weights["y"] == [0.004, 0.015, -0.001]
    assert read["y"] == [None, 0.004, 0.0]
    older = [{"path": "conv1", "kl_gain": 0.1, "top1_gain": None}]
    assert len(gains(FOUND | {"layers": older}).figure["data"]) == 1


def judged(path: str, kl: float, agreement: float, low: float, high: float) -> dict[str, Any]:
    shares = {"agreement_gain": agreement, "agreement_gain_low": low, "agreement_gain_high": high}
    shares |= {"top1_gain": 0.004, "top1_gain_low": -0.001, "top1_gain_high": 0.009}
    return row(path, kl, kl / 2, kl / 4) | shares | {"weights_agreement_gain": agreement / 2}


NEWER = FOUND | {
    "agreement": 0.93,
    "layers": [
        judged("conv1", 0.01, 0.02, 0.01, 0.03),
        judged("fc", -0.001, -0.002, -0.006, 0.002),
    ],
}


def test_gains_in_images_are_in_points_with_their_bands() -> None:
    assert list(measures_known(NEWER)) == ["kl", "agreement", "top1"]
    whole, weights = gains(NEWER, "agreement").figure["data"]
    assert whole["y"] == pytest.approx([2.0, -0.2])
    assert whole["error_y"]["array"] == pytest.approx([1.0, 0.4])
    assert whole["error_y"]["arrayminus"] == pytest.approx([1.0, 0.4])
    assert weights["y"] == pytest.approx([1.0, -0.1])
    assert "error_y" not in weights
    assert "2.00 points" in gains(NEWER, "agreement").alt


def test_a_gain_is_called_sure_only_where_its_band_leaves_0_out() -> None:
    said = sure_words(NEWER)
    assert "+2.00 points of agreement (+1.00 to +3.00: more than chance)" in said
    assert "+0.40 points of top-1 (-0.10 to +0.90: **not distinguishable** from none)" in said
    assert sure_words(FOUND) == ""  # an older analysis has no bands


BANDED = FOUND | {
    "layers": [
        row("conv1", 0.03, 0.004, None) | {"kl_gain_low": -0.01, "kl_gain_high": 0.07, "rank": None},
        row("fc", 0.02, 0.015, 0.004) | {"kl_gain_low": 0.01, "kl_gain_high": 0.03, "rank": 1},
    ]
}  # fmt: skip


def test_a_gain_that_may_be_chance_is_not_ranked_however_large() -> None:
    said = cost_words(BANDED)
    assert "**fc** costs most" in said
    assert "The gains of 1 of 2 layers may be chance, and are not ranked." in said
    nothing = BANDED | {"layers": BANDED["layers"][:1]}
    assert "by more than chance" in cost_words(nothing)
    assert sure_words(nothing) == ""
    frame = cost_table(BANDED)
    assert frame["Rank"].tolist()[1] == 1
    whole = gains(BANDED).figure["data"][0]
    assert whole["error_y"]["arrayminus"] == pytest.approx([0.04, 0.01])
    assert "which may be chance" in gains(nothing).alt


def test_the_table_of_gains_has_what_is_known() -> None:
    frame = cost_table(NEWER)
    assert frame["Top-1 from"].tolist() == [-0.1, -0.1]
    assert frame["KL"].tolist() == [0.01, -0.001]
    assert "Agreement" not in cost_table(FOUND)
    unlabelled = [one | {"top1_gain": None} for one in FOUND["layers"]]
    assert "Top-1" not in cost_table(FOUND | {"layers": unlabelled})
    assert list(measures_known(FOUND | {"layers": unlabelled})) == ["kl"]


def test_the_measure_is_in_the_address_and_older_analyses_are_drawn(runs: Path) -> None:
    folder = fabricate(runs, Fabricated())
    for found in (NEWER, FOUND):
        (folder.path / layer_costs.FILE).write_text(json.dumps(found))
        for measure in ("kl", "agreement", "top1"):
            said = texts(opened("layers", run=folder.run_id, gain=measure))
            assert "costs most" in said
            assert ("points of agreement" in said) is (found is NEWER)
            assert ("Counted by an older version" in said) is (found is FOUND)
            assert ("95\u00a0% bands, paired" in said) is (found is NEWER and measure != "kl")


def test_it_is_asked_for_once_and_shown_when_it_is_there(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = student_kept(fabricate(runs, Fabricated()))
    asked = []

    def answer(*words: str, **_: Any) -> dict[str, Any]:
        asked.append(words)
        (RunFolder.open(runs, words[1]).path / layer_costs.FILE).write_text(json.dumps(FOUND))
        return FOUND

    monkeypatch.setattr(layer_costs, "answer_of", answer)
    at = opened("layers", run=folder.run_id)
    assert at.button(key="layer-costs").label == "What does each layer cost?"
    assert not asked  # it takes a while: only on demand
    at.button(key="layer-costs").click().run()
    for _ in range(50):
        if "costs most" in texts(at):
            break
        time.sleep(0.05)
        at.run()
    assert "**layer1.0.conv1** costs most" in texts(at)
    assert asked == [("analyse", folder.run_id, "--json", "--runs", str(runs))]
    again = opened("layers", run=folder.run_id)
    assert "costs most" in texts(again)
    assert "layer-costs" not in {button.key for button in again.button}
    assert len(asked) == 1


def test_a_refusal_is_told(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = student_kept(fabricate(runs, Fabricated(seed=3)))

    def refuse(*_: str, **__: Any) -> dict[str, Any]:
        raise UserError("the network's file is gone")

    monkeypatch.setattr(layer_costs, "answer_of", refuse)
    at = opened("layers", run=folder.run_id)
    at.button(key="layer-costs").click().run()
    for _ in range(50):
        if at.error:
            break
        time.sleep(0.05)
        at.run()
    assert at.error[0].value == "the network's file is gone"


def test_a_run_that_is_not_finished_has_nothing_to_ask(runs: Path) -> None:
    folder = fabricate(runs, Fabricated(state="failed"))
    at = opened("layers", run=folder.run_id)
    assert "layer-costs" not in {button.key for button in at.button}
