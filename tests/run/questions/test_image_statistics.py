"""Image statistics of several runs together: what is common to them, counted by hand."""

from pathlib import Path

import numpy as np
import pytest

from engine.run.folders.folder import RunFolder
from engine.run.questions.compare import Side
from engine.run.questions.image_statistics import (
    MOST_CLASSES,
    class_shares,
    feature_map,
    layer_spread,
    measure_table,
    pair_histograms,
)
from engine.run.recipes.recipe import Recipe


def a_side(runs: Path, seed: int = 0, model: str = "m", **statistics: object) -> Side:
    recipe = Recipe(model=model, synthesis="s", quantization="q", seed=seed)
    arrays = {name: np.asarray(value) for name, value in statistics.items()} or None
    return Side(
        run=RunFolder.create(runs, recipe), total=1, layers=[], gaps=[], values={}, frames=[],
        statistics=arrays,
    )  # fmt: skip


def seeing(runs: Path, classes: list[int], known: int, seed: int = 0, **more: object) -> Side:
    return a_side(runs, seed, classes=classes, class_probability=np.zeros(known), **more)


def test_of_few_classes_all_are_drawn_in_their_own_order(tmp_path):
    sides = [seeing(tmp_path, [2, 2, 0, 2], 3), seeing(tmp_path, [1, 1], 3, seed=1)]
    told = class_shares(sides, ["coat", "shirt", "shoe"])
    assert told is not None
    assert told.names == ["coat", "shirt", "shoe"]
    assert told.shares == [[0.25, 0, 0.75], [0, 1, 0]]
    assert (told.left_out, told.classes) == (0, 3)


def test_of_many_classes_the_commonest_are_drawn_and_the_rest_counted(tmp_path):
    # A sees class 7 in six of its images, and 34 others (100 to 133) once each; B only class 500
    first = seeing(tmp_path, [7] * 6 + list(range(100, 134)), 1000)
    second = seeing(tmp_path, [500] * 5, 1000, seed=1)
    told = class_shares([first, second])
    assert told is not None
    assert len(told.names) == MOST_CLASSES == 30
    assert told.names[:3] == ["class 500", "class 7", "class 100"]
    assert told.shares[0] is not None
    assert told.shares[0][:3] == [0, 6 / 40, 1 / 40]
    assert told.left_out == 36 - 30
    assert told.rest == [pytest.approx(6 / 40), 0]
    assert told.classes == 1000


def test_of_many_classes_none_without_images_is_drawn(tmp_path):
    told = class_shares([seeing(tmp_path, [3, 3, 900], 1000)])
    assert told is not None
    assert told.names == ["class 3", "class 900"]
    assert (told.left_out, told.rest) == (0, [0])


def test_classes_are_named_by_the_statistics_that_have_seen_them(tmp_path):
    side = seeing(tmp_path, [9, 4, 9], 200, class_names=["newt", "crane"])
    told = class_shares([side, seeing(tmp_path, [5], 200, seed=1)])
    assert told is not None
    assert dict(zip(told.names, told.shares[0] or [], strict=True)) == {
        "crane": pytest.approx(2 / 3), "newt": pytest.approx(1 / 3), "class 5": 0,
    }  # fmt: skip


def test_side_without_classes_is_left_out_and_counted_as_nothing(tmp_path):
    sides = [a_side(tmp_path), seeing(tmp_path, [1], 2, seed=1)]
    told = class_shares(sides)
    assert told is not None
    assert told.shares == [None, [0, 1]]
    assert told.rest == [None, 0]
    assert class_shares(sides[:1]) is None


def test_other_networks_share_neither_classes_nor_a_plane(tmp_path):
    flat = {"features": np.eye(3), "classes": [0, 1, 1], "class_probability": np.zeros(2)}
    one, other = a_side(tmp_path, model="m", **flat), a_side(tmp_path, model="n", **flat)
    again = a_side(tmp_path, model="m", seed=1, **flat)
    assert class_shares([one, other]) is None
    assert feature_map([one, other]) is None
    assert class_shares([one, again]) is not None
    assert feature_map([one, again]) is not None


def test_cosines_of_all_sides_are_counted_in_the_same_bins(tmp_path):
    one = a_side(tmp_path, pixel_cosines=[0.0, 0.0, 0.5, 1.0])
    other = a_side(tmp_path, seed=1, pixel_cosines=[-1.0])
    centres, shares = pair_histograms([one, a_side(tmp_path, seed=2), other], "pixel_cosines")
    assert (centres[0], centres[-1]) == (pytest.approx(-0.975), pytest.approx(0.975))
    assert shares[1] is None
    assert shares[0] is not None
    assert (shares[0][0], shares[0][20], shares[0][30], shares[0][-1]) == (0, 0.5, 0.25, 0.25)
    assert shares[2] is not None
    assert shares[2][0] == 1


def test_one_image_has_no_pairs(tmp_path):
    side = a_side(tmp_path, pixel_cosines=np.empty(0))
    assert pair_histograms([side], "pixel_cosines") == ([], [None])


def test_statistics_of_an_older_version_have_no_spread_of_deviations(tmp_path):
    side = a_side(tmp_path, spread=np.array([0.5, 0.25]), classes=np.array([0]))
    assert layer_spread(side, "spread") == [0.5, 0.25]
    assert layer_spread(side, "deviation_spread") is None
    assert layer_spread(a_side(tmp_path, seed=1), "spread") is None


def test_every_number_has_a_name_a_definition_and_a_direction(tmp_path):
    rows = measure_table([a_side(tmp_path)])
    assert len({row["title"] for row in rows}) == len(rows)
    for row in rows:
        assert row["definition"]
        assert row["direction"].split(":")[0] in ("higher", "lower")
