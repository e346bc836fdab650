"""Sides of a comparison, read from run folders."""

from pathlib import Path

import numpy as np
import pytest

from engine.core.events import RunStarted, SnapshotSaved, StageStarted, Stepped
from engine.run.compare import (
    COLUMNS,
    feature_map,
    frame_at,
    gap_difference,
    measure_table,
    open_side,
)
from engine.run.folder import RunFolder
from engine.run.recipe import Recipe


def a_run(runs: Path, gaps: dict[int, list[float]], *, seed: int = 0, total: int = 10) -> RunFolder:
    folder = RunFolder.create(runs, Recipe(model="m", synthesis="s", quantization="q", seed=seed))
    layers = ["a", "b"]
    folder.append(
        RunStarted(device="", threads=1, versions={}, bn_layers=layers, blocks=[], layers=[])
    )
    folder.append(StageStarted(stage="synthesis", total_steps=total))
    for step, gap in gaps.items():
        folder.append(Stepped(stage="synthesis", part="", step=step, losses={}, bn_gap=gap))
        file = f"images-{step:06d}.webp"
        folder.append(SnapshotSaved(stage="synthesis", step=step, name="images", file=file))
    return folder


def test_a_gap_holds_until_the_next_and_is_unknown_beyond_the_last(tmp_path):
    side = open_side(a_run(tmp_path, {1: [4, 2], 5: [1, 0.5]}))
    assert side.gaps.shape == (2, COLUMNS)
    at = COLUMNS // 10
    assert np.isnan(side.gaps[:, : at - 1]).all()  # before the first step
    assert side.gaps[:, at].tolist() == [4, 2]
    assert side.gaps[0, COLUMNS // 2 - 1] == 4
    assert np.isnan(side.gaps[:, COLUMNS // 2 + 1 :]).all()


def test_images_that_are_taken_as_they_are_have_one_gap_all_along(tmp_path):
    side = open_side(a_run(tmp_path, {1: [3, 1]}, total=1))
    assert (side.gaps == np.array([[3], [1]])).all()


def test_frames_are_found_by_their_share_of_the_synthesis(tmp_path):
    side = open_side(a_run(tmp_path, {1: [1, 1], 5: [1, 1], 10: [1, 1]}))
    found = [frame_at(side, share) for share in (0, 0.1, 0.49, 0.5, 1)]
    assert found == [f"images-{step:06d}.webp" for step in (1, 1, 1, 5, 10)]


def test_difference_is_the_logarithm_of_the_ratio(tmp_path):
    one = open_side(a_run(tmp_path, {1: [1, 1]}, total=1))
    other = open_side(a_run(tmp_path, {1: [0.1, 10]}, total=1, seed=1))
    difference = gap_difference(one, other)
    assert difference is not None
    assert difference[:, 0].tolist() == pytest.approx([-1, 1])


@pytest.mark.parametrize("content", [b"", b"no arrays", None])
def test_a_missing_or_broken_portrait_is_none(tmp_path, content):
    run = a_run(tmp_path, {1: [1, 1]})
    if content is not None:
        run.snapshot("portrait.npz").write_bytes(content)
    side = open_side(run)
    assert side.portrait is None
    assert feature_map([side]) is None
    assert all(value is None for row in measure_table([side]) for value in row["values"])
