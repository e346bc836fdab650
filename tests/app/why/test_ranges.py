"""Which image sets a layer's range: what is told of it, and what follows a press."""

from typing import Any

import pytest

from app.panels.images import ranges as panel
from engine.run.folders.folder import RunFolder
from engine.run.questions.doctor import answers
from engine.run.workers import launch
from tests.app.fabricate import Fabricated, fabricate, result
from tests.app.test_pages import opened, texts
from tests.app.why.conftest import Keep


def layer(path: str, *gains: float) -> dict[str, Any]:
    images = [
        {"image": 3 + k, "reach": 9.0 - k, "step": 0.5, "sqnr_db": 10.0, "sqnr_without_db": 10.0 + gain}
        for k, gain in enumerate(gains)
    ]  # fmt: skip
    return {"layer": path, "step": 1.0, "images": images}


RANGES = [layer("conv1", 0.2, 0.1), layer("fc", 4.0, 0.3)]
FOUND: dict[str, Any] = {"run": "r", "ranges": RANGES, "pictures": {}}


def test_a_layer_that_hangs_on_one_image_is_named_with_it() -> None:
    assert panel.verdict(RANGES).startswith("**`fc` hangs on image 3**")
    assert "4.0 dB" in panel.verdict(RANGES)
    assert "1 other" not in panel.verdict(RANGES)


def test_small_gains_hang_on_nothing() -> None:
    assert "No layer hangs on one image" in panel.verdict([layer("conv1", 0.2), layer("fc", -0.5)])
    assert "0.2 dB" in panel.verdict([layer("conv1", 0.2), layer("fc", -0.5)])


def test_it_is_closed_until_asked_for(folder: RunFolder, keep: Keep) -> None:
    keep("ranges", FOUND | {"run": folder.run_id})
    at = opened("images", run=folder.run_id)
    assert not any(str(one.key).startswith("without-") for one in at.button)


def test_it_is_open_at_its_address_and_tells_of_the_layer_there(
    folder: RunFolder, keep: Keep
) -> None:
    keep("ranges", FOUND | {"run": folder.run_id})
    at = opened("images", **{"run": folder.run_id, "range-layer": "conv1"})
    assert "hangs on image 3" in texts(at)
    buttons = [one.key for one in at.button if str(one.key).startswith("without-")]
    assert buttons == ["without-conv1-3", "without-conv1-4"]


def test_to_leave_an_image_out_runs_the_recipe_without_it(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []

    def start(recipe: Any, runs: Any) -> RunFolder:
        started.append(recipe)
        tried = RunFolder.create(runs, recipe)
        tried.finish(result(tried, Fabricated()))
        return tried

    monkeypatch.setattr(launch, "start", start)
    finding = panel.without("fc", 3, 4.0)
    row = answers.begin(folder, finding, work=launch.start)
    assert started[0].quantization_settings["leave_out"] == [3]
    assert row["run"] == answers.counterfactual(folder, finding).run_id == started[0].run_id
    assert started[0].run_id != folder.run_id


def test_nothing_is_asked_of_a_run_at_work(runs: Any) -> None:
    running = fabricate(runs, Fabricated(state="running"))
    at = opened("images", run=running.run_id)
    assert not [one for one in at.expander if "Which image sets" in one.label]
