"""Charts of runs side by side: one axis, one scale, and no more bars than can be read."""

import pytest

from app.charts.images import compare, image_statistics
from app.charts.panels import LEAST_WIDTH, panels
from app.charts.style import QUIET
from app.panels.compare.measures import number_words


def test_columns_of_a_map_lie_at_the_middle_of_what_they_stand_for() -> None:
    grid = [[0.0, 0.0, 0.0, 0.0]]
    (shares,) = compare.gap_maps(["bn1"], [grid]).figure["data"]
    (steps,) = compare.gap_maps(["bn1"], [grid], 200).figure["data"]
    assert shares["x"] == [0.125, 0.375, 0.625, 0.875]
    assert steps["x"] == [25, 75, 125, 175]


def test_maps_of_all_runs_have_one_scale_and_one_axis() -> None:
    figure = compare.gap_maps(["bn1"], [[[0.0]], [[-1.0]]], 30).figure
    assert len({(map_["zmin"], map_["zmax"], map_["colorscale"]) for map_ in figure["data"]}) == 1
    assert figure["layout"]["xaxis"]["range"] == figure["layout"]["xaxis2"]["range"] == [0, 30]
    assert figure["layout"]["yaxis2"]["matches"] == "y"


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_panels_do_not_overlap_in_a_row_nor_folded(count: int) -> None:
    figure = panels([{} for _ in range(count)], {}, height=300)
    folded = figure.get("narrow", {"layout": figure["layout"], "below": 0})
    assert ("narrow" in figure) == (count > 1)
    assert folded["below"] in (0, LEAST_WIDTH * count)
    for layout in (figure["layout"], folded["layout"]):
        boxes = [
            (*layout[f"xaxis{k or ''}"]["domain"], *layout[f"yaxis{k or ''}"]["domain"])
            for k in ["", *range(2, count + 1)]
        ]
        for k, (left, right, low, high) in enumerate(boxes):
            assert 0 <= left < right <= 1 + 1e-9
            assert 0 <= low < high <= 1 + 1e-9
            for other in boxes[:k]:
                apart_across = other[1] < left or right < other[0]
                assert apart_across or other[3] < low or high < other[2]


def test_folded_panels_read_from_left_to_right_and_downwards() -> None:
    layout = panels([{}, {}, {}], {}, height=300)["narrow"]["layout"]
    assert layout["xaxis"]["domain"][1] < layout["xaxis2"]["domain"][0]
    assert layout["xaxis3"]["domain"] == layout["xaxis"]["domain"]
    assert layout["yaxis3"]["domain"][1] < layout["yaxis"]["domain"][0]


def test_every_image_is_a_dot_in_its_own_panel_and_its_class_has_one_colour() -> None:
    points = [[[0.0, 1.0], [2.0, 3.0]], [[4.0, 5.0]]]
    data = image_statistics.feature_maps(points, [[0, 1], [1]], {0: "coat", 1: "shoe"}).figure[
        "data"
    ]
    dots = [trace for trace in data if trace["x"] not in ([], [None])]
    drawn = [(d["xaxis"] + d["yaxis"], d["text"], d["x"], d["y"]) for d in dots]
    assert drawn == [
        ("xy", ["coat"], [0.0], [1.0]),
        ("xy", ["shoe"], [2.0], [3.0]),
        ("x2y2", ["shoe"], [4.0], [5.0]),
    ]
    assert dots[1]["marker"]["color"] == dots[2]["marker"]["color"] != dots[0]["marker"]["color"]
    assert [trace["name"] for trace in data if trace["x"] == [None]] == ["coat", "shoe"]


def test_beyond_twelve_classes_the_rarer_ones_are_grey_and_keep_their_names() -> None:
    classes = [c for c in range(12) for _ in range(2)] + [50, 60, 70]
    points = [[[float(k), 0.0] for k in range(len(classes))]]
    data = image_statistics.feature_maps(points, [classes], {60: "newt"}).figure["data"]
    (grey,) = [t for t in data if t["marker"]["color"] == QUIET and t["x"] != [None]]
    assert grey["text"] == ["class 50", "newt", "class 70"]
    names = [trace["name"] for trace in data if trace["x"] == [None]]
    assert names == [*(f"class {c}" for c in range(12)), "3 other classes"]


def test_two_classes_of_one_name_keep_their_own_bars() -> None:
    figure = image_statistics.class_bars([[0.5, 0.5]], ["crane", "crane"]).figure
    assert figure["data"][0]["x"] == [0, 1]
    assert figure["layout"]["xaxis"]["ticktext"] == ["crane", "crane"]


def test_side_without_a_spread_keeps_the_others_their_letters() -> None:
    data = image_statistics.layer_spreads(["a", "b"], [None, [0.1, 0.2]], "mean").figure["data"]
    assert [(line["name"], line["x"], line["y"]) for line in data] == [
        ("B", ["a", "b"], [0.1, 0.2])
    ]


@pytest.mark.parametrize(
    ("value", "words"), [(None, "–"), (0.0125, "0.013"), (-2.5, "-2.500"), (487.753, "487.8")]
)
def test_numbers_are_as_long_as_their_column_is_wide(value: float | None, words: str) -> None:
    assert number_words(value) == words
