"""The doctor's advice on the page Evidence: the verdict as measured, a dot for each change."""

import json
from pathlib import Path

import pytest

from app.charts.outcomes.advice import LEAST, predicted_and_measured
from engine.run.benches.advice.file import tried_of
from tests.app.test_pages import opened, texts
from tests.run.benches.test_advice import a_file, row


def measured() -> dict[str, object]:
    file = a_file([row(0.1, 0.15), row(0.4, 0.32), row(0.8, 0.3), row(0.2, -0.1)])
    for run in file["runs"]:
        run |= {"model": "resnet20-fashion", "seen": 64, "test_images": 10_000}
    return file


def test_the_page_says_how_the_predictions_turned_out(shipped: Path) -> None:
    (shipped / "advice.json").write_text(json.dumps(measured()))
    at = opened("evidence", of="advice")
    assert any("changes-csv" in one.proto.id for one in at.get("download_button"))
    words = texts(at)
    assert "3 of 4 changes helped" in words
    assert "2 of 4" in words
    assert "the bands are too narrow" in words
    assert "predicted on 64 test images, measured on 10,000" in words


def test_without_the_measurement_the_page_does_not_offer_it(shipped: Path) -> None:
    assert "Does the doctor" not in texts(opened("evidence", of="advice"))


def test_every_change_is_a_dot_by_whether_its_band_held() -> None:
    rows = [row(0.1, 0.15), row(0.8, 0.3), row(0.2, -5.0)]
    figure = predicted_and_measured(tried_of(a_file(rows))).figure
    inside, outside = figure["data"][1:]
    assert (inside["x"], inside["y"]) == ([10.0], [15.0])
    assert (outside["x"], outside["y"]) == ([80.0, 20.0], [30.0, LEAST])  # drawn at the edge
    assert outside["error_x"]["array"] == pytest.approx([10.0, 10.0])
