"""Sides of a comparison, read from run folders."""

from pathlib import Path

import numpy as np
import pytest

from engine.core.events import RunStarted, SnapshotSaved, StageStarted, Stepped
from engine.run.folders.folder import RunFolder
from engine.run.questions.compare import (
    COLUMNS,
    MOST_POINTS,
    course,
    frame_at,
    gap_difference,
    gap_grid,
    open_side,
)
from engine.run.questions.image_statistics import feature_map, measure_table
from engine.run.recipes.recipe import Recipe


def a_run(runs: Path, gaps: dict[int, list[float]], *, seed: int = 0, total: int = 10) -> RunFolder:
    folder = RunFolder.create(runs, Recipe(model="m", synthesis="s", quantization="q", seed=seed))
    layers = ["a", "b"]
    folder.append(
        RunStarted(device="", threads=1, versions={}, bn_layers=layers, blocks=[], layers=[])
    )
    folder.append(StageStarted(stage="synthesis", total_steps=total))
    for step, gap in gaps.items():
        values = {"confidence": step / 100}
        folder.append(
            Stepped(stage="synthesis", part="", step=step, losses={}, values=values, bn_gap=gap)
        )
        file = f"images-{step:06d}.webp"
        folder.append(SnapshotSaved(stage="synthesis", step=step, name="images", file=file))
    return folder


def test_a_gap_holds_until_the_next_and_is_unknown_beyond_the_last(tmp_path):
    grid = gap_grid(open_side(a_run(tmp_path, {1: [4, 2], 5: [1, 0.5]})))
    assert grid.shape == (2, COLUMNS)
    at = COLUMNS // 10
    assert np.isnan(grid[:, : at - 1]).all()  # before the first step
    assert grid[:, at].tolist() == [4, 2]
    assert grid[0, COLUMNS // 2 - 1] == 4
    assert np.isnan(grid[:, COLUMNS // 2 + 1 :]).all()


def test_on_an_axis_of_steps_a_run_ends_where_its_steps_do(tmp_path):
    side = open_side(a_run(tmp_path, {1: [4, 2], 5: [1, 0.5], 10: [0.1, 0.1]}, total=10))
    grid = gap_grid(side, 20)  # another run has twice the steps
    assert grid[:, COLUMNS // 4].tolist() == [1, 0.5]  # step 5 of 20
    assert grid[:, COLUMNS // 4 - 1].tolist() == [4, 2]
    assert np.isnan(grid[:, COLUMNS // 2 :]).all()
    assert not np.isnan(grid[:, COLUMNS // 20 : COLUMNS // 2]).any()


def test_images_that_are_taken_as_they_are_have_one_gap_all_along(tmp_path):
    side = open_side(a_run(tmp_path, {1: [3, 1]}, total=1))
    for steps in (0, 500):
        assert (gap_grid(side, steps) == np.array([[3], [1]])).all()


def test_run_that_has_told_of_one_step_only_has_no_gap_beyond_it(tmp_path):
    grid = gap_grid(open_side(a_run(tmp_path, {1: [3, 1]}, total=10)))
    assert np.isnan(grid[:, COLUMNS // 10 :]).all()


def test_frames_are_found_by_their_step(tmp_path):
    side = open_side(a_run(tmp_path, {1: [1, 1], 5: [1, 1], 10: [1, 1]}))
    found = [frame_at(side, step) for step in (0, 1, 4.9, 0.5 * side.total, 10, 99)]
    assert found == [f"images-{step:06d}.webp" for step in (1, 1, 1, 5, 10, 10)]


def test_course_stands_over_steps_or_over_shares_of_the_own_run(tmp_path):
    side = open_side(a_run(tmp_path, {1: [4, 2], 5: [1, 0.5]}, total=10))
    assert course(side, "gap", 20) == ([1, 5], [3, 0.75])
    assert course(side, "gap") == ([0.1, 0.5], [3, 0.75])
    assert course(side, "confidence", 20) == ([1, 5], [0.01, 0.05])
    assert course(side, "class_spread") is None  # was never told


def test_course_of_images_taken_as_they_are_is_level_from_end_to_end(tmp_path):
    side = open_side(a_run(tmp_path, {1: [3, 1]}, total=1))
    assert course(side, "gap", 500) == ([0, 500], [2, 2])
    assert course(side, "gap") == ([0, 1], [2, 2])


def test_long_course_is_thinned_and_keeps_its_newest_point(tmp_path):
    steps = MOST_POINTS * 2 + 2  # each third is kept, counted from the newest
    side = open_side(a_run(tmp_path, {k + 1: [k, k] for k in range(steps)}, total=steps))
    found = course(side, "gap", steps)
    assert found is not None
    assert len(found[0]) <= MOST_POINTS
    assert (found[0][-1], found[1][-1]) == (steps, steps - 1)


def test_difference_is_the_logarithm_of_the_ratio(tmp_path):
    one = open_side(a_run(tmp_path, {1: [1, 1]}, total=1))
    other = open_side(a_run(tmp_path, {1: [0.1, 10]}, total=1, seed=1))
    difference = gap_difference(one, other)
    assert difference is not None
    assert difference[:, 0].tolist() == pytest.approx([-1, 1])


@pytest.mark.parametrize("content", [b"", b"no arrays", None])
def test_missing_or_broken_image_statistics_are_none(tmp_path, content):
    run = a_run(tmp_path, {1: [1, 1]})
    if content is not None:
        run.snapshot("image-statistics.npz").write_bytes(content)
    side = open_side(run)
    assert side.statistics is None
    assert feature_map([side]) is None
    assert all(value is None for row in measure_table([side]) for value in row["values"])


@pytest.mark.parametrize("name", ["image-statistics.npz", "portrait.npz"])
def test_image_statistics_are_read_by_the_name_that_older_runs_gave_them_too(tmp_path, name):
    run = a_run(tmp_path, {1: [1, 1]})
    np.savez(run.snapshot(name), power=np.arange(3.0))
    found = open_side(run).statistics
    assert found is not None
    assert found["power"].tolist() == [0, 1, 2]
