"""Inside one layer: what it reads on its grid, feature maps, weights, pairs; and what the page says."""

import base64
from dataclasses import replace
from typing import Any

import pytest

from app.charts.inside import inputs, maps, pairs, weights
from app.charts.style import OVER, QUANTIZED
from app.panels.layers.inside.section import correction, may_correct
from engine.run.folders.folder import RunFolder
from engine.run.questions.why import answers
from engine.run.recipes.recipe import Recipe
from tests.app.test_pages import opened, texts
from tests.app.why.test_flips import PIXEL

TONES = bytes(range(2 * 2 * 3 * 2 * 3))  # 2 images, 2 channels, 3 parts, 2 x 3 pixels
LEVELS = [0.0, 1.0, 2.0]


def source(name: str, high: float, clipped: float) -> dict[str, Any]:
    channels = {"low": [0.0, -1.0], "high": [high, 0.5]}
    return {
        "name": name, "title": name.title(), "shares": [0.5, 0.0, 0.25, 0.25], "clipped": clipped,
        "sqnr_db": 20.0, "channels": channels,
    }  # fmt: skip


def channel(number: int, levels: list[float], values: list[float], *, used: int) -> dict[str, Any]:
    ends = {"low": min(*levels, *values), "high": max(*levels, *values)}
    return {"channel": number, "levels": levels, "values": values, "used": used} | ends


FOUND: dict[str, Any] = {
    "run": "r", "layer": "conv1", "images": 64, "image_set": "Some test images",
    "input": {
        "bits": 2, "low": -1.0, "high": 3.0, "levels": LEVELS,
        "sources": [source("test", 3.0, 0.25), source("calibration", 2.0, 0.0)],
        "pairs": {"low": 0.0, "high": 2.0, "counts": [[5, 0], [1, 100]]},
    },
    "weights": {
        "bits": 2,
        "channels": {
            "low": [-1.0, -2.0], "high": [1.0, 3.0], "grid_low": [-1.0, -2.0], "grid_high": [1.0, 2.0],
            "sqnr_db": [20.0, 8.0],
        },
        "one_by_one": [
            channel(1, [-2.0, 0.0, 2.0], [0.25, 3.0], used=2),
            channel(0, [-1.0, 0.0, 1.0], [0.5, -1.0], used=3),
        ],
        "pairs": {"low": -2.0, "high": 3.0, "counts": [[1, 0], [0, 1]]},
    },
    "output": {
        "sqnr_db": 12.0, "is_shift": True, "pairs": {"low": 0.0, "high": 1.0, "counts": [[2, 0], [0, 2]]},
        "channels": 2, "worst_channel_share": 0.75, "shift_share": 0.5,
    },
    "maps": {
        "images": [7, 0], "errors": [0.5, 0.1], "usual_error": 0.1, "channels": [1, 0],
        "pictures": [PIXEL, PIXEL],
        "low": [0.0, -1.0], "high": [255.0, 1.0], "largest_difference": [2.0, 4.0],
        "shape": [2, 2, 3, 2, 3], "averaged_from": [8, 12], "data": base64.b64encode(TONES).decode(),
    },
    "notes": [], "sentence": "25.0\u00a0% of the values that it reads lie beyond its grid: they are clipped.",
    "sentences": {view: f"What stands out in {view}." for view in ("input", "maps", "weights", "pairs")},
}  # fmt: skip


def test_the_input_lies_over_its_levels_and_the_ends_stand_out() -> None:
    chart = inputs.input_histogram(FOUND["input"])
    first, second = chart.figure["data"]
    assert first["x"] == [-0.5, 0.5, 1.5, 2.5]
    assert first["y"] == [0.5, None, 0.25, 0.25], "nothing has no logarithm"
    assert second["name"] == "Calibration"
    lines = chart.figure["layout"]["shapes"]
    assert [line["x0"] for line in lines] == LEVELS
    assert [line["line"]["color"] == OVER for line in lines] == [True, False, True]
    assert "Test 25.00\u00a0%" in chart.alt
    many = FOUND["input"] | {"levels": [k / 100 for k in range(256)]}
    assert len(inputs.input_histogram(many).figure["layout"]["shapes"]) == 2
    floats = FOUND["input"] | {"levels": None}
    assert inputs.input_histogram(floats).figure["layout"]["shapes"] == []


def test_each_channel_reaches_from_its_least_to_its_greatest_value() -> None:
    (bars,) = inputs.reach(FOUND["input"]["sources"][0]["channels"], (0.0, 2.0), "input").figure[
        "data"
    ]
    assert bars["base"] == [0.0, -1.0]
    assert bars["y"] == [3.0, 1.5]
    chart = weights.weight_ranges(FOUND["weights"]["channels"], 1)
    bars, low, high = chart.figure["data"]
    assert bars["marker"]["color"][1] == QUANTIZED != bars["marker"]["color"][0]
    assert (low["y"], high["y"]) == ([-1.0, -2.0], [1.0, 2.0])
    assert "channel 1 reaches furthest" in chart.alt


def test_a_weight_takes_the_nearest_level_and_its_error_is_drawn() -> None:
    one = FOUND["weights"]["one_by_one"][0]
    assert weights.nearest(one["levels"], 0.9) == 1
    assert weights.nearest(one["levels"], 1.1) == 2
    *_, line, error = weights.one_channel(one, 1.1).figure["layout"]["shapes"]
    assert line["x0"] == line["x1"] == 1.1
    assert (error["x0"], error["x1"]) == (1.1, 2.0)


def test_maps_are_read_in_their_order_and_have_one_scale() -> None:
    first, second, difference = maps.feature_maps(FOUND["maps"], 1, 0).figure["data"]
    start = 1 * 2 * 3 * 6  # the second image's first channel
    assert first["z"] == [[start, start + 1, start + 2], [start + 3, start + 4, start + 5]]
    assert second["z"][0][0] == start + 6
    assert (first["zmin"], first["zmax"]) == (second["zmin"], second["zmax"]) == (0.0, 255.0)
    assert (difference["zmin"], difference["zmax"]) == (-2.0, 2.0)
    assert difference["z"][0][0] == pytest.approx(-2 + (start + 12) / 255 * 4)


def test_pairs_are_on_one_axis_and_counted_by_their_logarithm() -> None:
    (cells,) = pairs.pairs(FOUND["input"]["pairs"], "before", "after").figure["data"]
    assert cells["z"] == [[pytest.approx(0.699, abs=1e-3), None], [0.0, 2.0]]
    assert cells["x"] == cells["y"] == [0.5, 1.5]


@pytest.mark.parametrize(
    ("view", "said"),
    [
        ("input", "Do its values fit the grid?"),
        (
            "maps",
            "for this image is 50\u00a0% off; 10\u00a0% is usual here. Dark to light: 0 to 2.6e+02",
        ),
        ("weights", "Red: the ends of each channel's grid"),
        ("pairs", "On the dotted line is no error"),
    ],
)
def test_every_view_says_its_sentence(folder: RunFolder, view: str, said: str) -> None:
    answers.answer(folder, "tensors", lambda: FOUND, layer="conv1")
    at = opened("layers", run=folder.run_id, layer="conv1", inside=view, **{"tensors-more": "1"})
    (more,) = [one for one in at.expander if "inside conv1" in one.label]
    at.session_state["tensors-more"] = True
    at.run()
    assert not at.exception
    assert f"**What stands out in {view}.**" in texts(at)
    assert said in texts(at)
    labels = [button.label for button in at.button]
    assert ("Try it with BatchNorm corrected" in labels) is (view == "pairs")
    assert more is not None


def test_a_correction_is_offered_only_where_there_is_none() -> None:
    recipe = Recipe(model="toy", synthesis="noise", quantization="nearest")
    assert may_correct(recipe, FOUND)
    scatter = FOUND | {"output": FOUND["output"] | {"is_shift": False}}
    assert not may_correct(recipe, scatter)
    for given in ({"bias_correction": True}, {"batchnorm": "delta"}):
        assert not may_correct(replace(recipe, quantization_settings=given), FOUND)
    assert may_correct(replace(recipe, quantization_settings={"batchnorm": "none"}), FOUND)


def test_where_there_is_no_batchnorm_biases_are_corrected() -> None:
    assert correction(batchnorm=True) == (
        "Try it with BatchNorm corrected",
        {"batchnorm": "delta"},
    )
    assert correction(batchnorm=False)[1] == {"bias_correction": True}


def test_an_answer_of_an_older_version_says_its_one_sentence_in_every_view(
    folder: RunFolder,
) -> None:
    older = {name: value for name, value in FOUND.items() if name != "sentences"}
    answers.answer(folder, "tensors", lambda: older, layer="conv1")
    at = opened("layers", run=folder.run_id, layer="conv1", inside="maps", **{"tensors-more": "1"})
    at.session_state["tensors-more"] = True
    at.run()
    assert "25.0\u00a0% of the values" in texts(at)
