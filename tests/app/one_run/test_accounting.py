"""Where the accuracy was lost: steps that add up, what may be chance, and what is missing."""

from pathlib import Path
from typing import Any

import pytest

from app.charts.why.accounting import waterfall
from app.engine_calls.choices import forget_catalog
from app.panels.answers.accounting import steps_of, table, verdict
from engine.core.paired import drop_between, packed
from tests.app.conftest import CATALOG
from tests.app.fabricate import Fabricated, fabricate
from tests.app.test_pages import opened, texts

IMAGES = 1000


def judged(right: int, teacher: int = 900) -> dict[str, Any]:
    """A result with the first `right` of the images right, and the teacher with the first of so many."""
    mine, its = (packed([k < count for k in range(IMAGES)]) for count in (right, teacher))
    drop = drop_between(its, mine, IMAGES)
    return {
        "fp32_top1": teacher / IMAGES, "quantized_top1": right / IMAGES, "right": mine, "test_images": IMAGES,
        "top1_drop": {"band": list(drop.band)},
    }  # fmt: skip


def test_the_steps_lead_from_float_to_noise_and_add_up() -> None:
    results = {"noise": judged(600), "genie": judged(860), "real": judged(861)}
    start, steps = steps_of(results)
    assert start == pytest.approx(90.0)
    assert [one.name for one in steps] == ["fewer bits", "synthetic images", "noise instead"]
    assert [one.points for one in steps] == pytest.approx([3.9, 0.1, 26.0])
    assert start - sum(one.points for one in steps) == pytest.approx(60.0)
    assert [one.is_sure for one in steps] == [
        True,
        False,
        True,
    ]  # one image of a thousand is chance
    assert "Noise instead costs most: 26.0 points" in verdict(steps)
    assert "May be chance: synthetic images" in verdict(steps)
    assert list(table(steps)["may be chance"]) == [False, True, False]


def test_without_real_images_bits_and_images_are_one_step() -> None:
    start, steps = steps_of({"noise": judged(700), "genie": judged(800)})
    assert [one.name for one in steps] == ["fewer bits, synthetic images", "noise instead"]
    assert [one.points for one in steps] == pytest.approx([10.0, 10.0])
    assert start == pytest.approx(90.0)


def test_without_labels_there_are_no_steps() -> None:
    assert steps_of({"genie": judged(800) | {"fp32_top1": None}}) == (0.0, [])


def test_a_bar_hangs_where_the_one_before_ended_and_one_by_chance_is_hollow() -> None:
    start, steps = steps_of({"genie": judged(861), "real": judged(860)})  # a thousandth is won
    (bars,) = waterfall(start, steps).figure["data"]
    assert bars["base"] == pytest.approx([0.0, 86.0, 86.0, 0.0])
    assert bars["x"] == pytest.approx([90.0, 4.0, 0.1, 86.1])
    assert bars["marker"]["color"][2] == "rgba(0,0,0,0)"
    assert "may be chance" in bars["text"][2]


def test_the_page_tells_it_where_there_are_several_runs(runs: Path) -> None:
    folder = fabricate(runs, Fabricated(synthesis="real", top1=0.91))
    assert "Where was the accuracy lost?" not in texts(opened("answers", run=folder.run_id))
    fabricate(runs, Fabricated(synthesis="noise", top1=0.6))
    at = opened("answers", run=folder.run_id)
    assert "Where was the accuracy lost?" in texts(at)
    assert "Noise instead costs most: 31.0 points" in texts(at)


def test_images_that_a_network_cannot_have_are_not_offered(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = fabricate(runs, Fabricated()).run_id
    ways = {"triad-noise", "triad-real"}
    assert {one.key for one in opened("answers", run=run).button} & ways == ways
    (network,) = CATALOG["models"]
    without_images = CATALOG | {"models": [network | {"calibration_images": False}]}
    monkeypatch.setattr("engine.run.catalog.load", lambda _runs: without_images)
    forget_catalog()
    assert {one.key for one in opened("answers", run=run).button} & ways == {"triad-noise"}
    forget_catalog()
