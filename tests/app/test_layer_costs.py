"""What each layer costs a finished run: offered, waited for, shown, and kept beside the run."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from app.charts.layer_costs import gains
from app.panels.layer_costs import cost_words
from engine.core.errors import UserError
from engine.run.folder import RunFolder
from engine.run.questions import layer_costs
from tests.app.fabricate import Fabricated, fabricate
from tests.app.test_pages import opened, texts


def row(path: str, whole: float, weights: float, read: float | None) -> dict[str, Any]:
    return {
        "path": path, "kl_gain": whole, "weights_kl_gain": weights, "input_kl_gain": read,
        "top1_gain": 0.01, "weights_top1_gain": 0.0, "input_top1_gain": None if read is None else 0.0,
    }  # fmt: skip


FOUND = {
    "run": "r", "images": 1000, "test_set": "Fashion-MNIST test", "kl": 0.04, "top1": 0.88,
    "layers": [row("conv1", 0.004, 0.004, None), row("layer1.0.conv1", 0.02, 0.015, 0.004),
               row("fc", -0.001, -0.001, 0.0)],
}  # fmt: skip


def test_the_layer_that_costs_most_is_named_with_its_share_and_who_is_to_blame() -> None:
    said = cost_words(FOUND)
    assert "**layer1.0.conv1** costs most" in said
    assert "50% of the student's distance" in said
    assert "Mostly its weights (0.015 by its weights alone, 0.004 by its input)" in said
    alike = [row("a", 0.02, 0.01, 0.012)]
    assert "Weights and input cost alike" in cost_words(FOUND | {"layers": alike})
    assert "No single layer" in cost_words(FOUND | {"layers": [FOUND["layers"][2]]})  # type: ignore[index]


def test_bars_stand_in_the_order_of_the_layers_with_their_sign() -> None:
    whole, weights, read = gains(FOUND).figure["data"]
    assert whole["x"] == ["conv1", "layer1.0.conv1", "fc"]
    assert whole["y"] == [0.004, 0.02, -0.001]
    assert weights["y"] == [0.004, 0.015, -0.001]
    assert read["y"] == [None, 0.004, 0.0]
    older = [{"path": "conv1", "kl_gain": 0.1, "top1_gain": None}]
    assert len(gains(FOUND | {"layers": older}).figure["data"]) == 1


def test_it_is_asked_for_once_and_shown_when_it_is_there(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fabricate(runs, Fabricated())
    asked = []

    def answer(*words: str, **_: Any) -> dict[str, Any]:
        asked.append(words)
        (RunFolder.open(runs, words[1]).path / layer_costs.FILE).write_text(json.dumps(FOUND))
        return FOUND

    monkeypatch.setattr(layer_costs, "answer_of", answer)
    at = opened("quantize", run=folder.run_id)
    assert "What does each layer cost?" in texts(at)
    assert not asked  # it takes a while: only on demand
    at.button(key="layer-costs").click().run()
    for _ in range(50):
        if "costs most" in texts(at):
            break
        time.sleep(0.05)
        at.run()
    assert "**layer1.0.conv1** costs most" in texts(at)
    assert asked == [("analyse", folder.run_id, "--json", "--runs", str(runs))]
    again = opened("quantize", run=folder.run_id)
    assert "costs most" in texts(again)
    assert "layer-costs" not in {button.key for button in again.button}
    assert len(asked) == 1


def test_a_refusal_is_told(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fabricate(runs, Fabricated(seed=3))

    def refuse(*_: str, **__: Any) -> dict[str, Any]:
        raise UserError("the network's file is gone")

    monkeypatch.setattr(layer_costs, "answer_of", refuse)
    at = opened("quantize", run=folder.run_id)
    at.button(key="layer-costs").click().run()
    for _ in range(50):
        if at.error:
            break
        time.sleep(0.05)
        at.run()
    assert at.error[0].value == "the network's file is gone"


def test_a_run_that_is_not_finished_has_nothing_to_ask(runs: Path) -> None:
    folder = fabricate(runs, Fabricated(state="failed"))
    assert "What does each layer cost?" not in texts(opened("quantize", run=folder.run_id))
