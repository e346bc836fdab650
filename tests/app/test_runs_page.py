"""The page of all runs: what differs between them, names and notes, filters, and two compared by results."""

from pathlib import Path

import pytest

from app.differences import differences, told_differences
from app.panels.compare.results import _pair
from engine.core.errors import UserError
from engine.core.paired import packed
from engine.run.folders.folder import RunFolder, list_runs
from engine.run.folders.label import MOST_NAME, Label, read_label, write_label
from tests.app.fabricate import Fabricated, fabricate
from tests.app.test_pages import opened, texts


def labelled(runs: Path, **label: str) -> RunFolder:
    folder = fabricate(runs, Fabricated())
    write_label(folder.path, Label(**label))
    return folder


def test_a_run_is_told_by_what_differs_from_the_one_it_is_most_like(runs: Path) -> None:
    first = fabricate(runs, Fabricated(seed=0))
    second = fabricate(runs, Fabricated(seed=1))
    told = told_differences([second, first])
    assert told == {first.run_id: "", second.run_id: "seed 1"}
    assert differences(first.recipe, first.recipe) == []


def test_a_label_is_kept_beside_the_recipe_and_changes_no_run(runs: Path) -> None:
    folder = labelled(runs, name="the one\nfor Monday", note=" two\nlines ")
    assert read_label(folder.path) == Label(name="the one for Monday", note="two\nlines")
    assert [one.run_id for one in list_runs(runs)] == [folder.run_id]


@pytest.mark.parametrize("text", ["[]", "{", '{"name": 3}', '{"note": null, "name": []}', "\x00"])
def test_a_label_that_cannot_be_read_is_none(runs: Path, text: str) -> None:
    folder = fabricate(runs, Fabricated())
    (folder.path / "label.json").write_text(text)
    assert read_label(folder.path) == Label()


def test_a_label_that_is_too_long_is_refused(runs: Path) -> None:
    folder = fabricate(runs, Fabricated())
    with pytest.raises(UserError, match="give at most"):
        write_label(folder.path, Label(name="x" * (MOST_NAME + 1)))


def test_filters_find_a_run_by_its_name_and_say_how_many_are_left(runs: Path) -> None:
    for seed in range(1, 5):
        fabricate(runs, Fabricated(seed=seed))
    labelled(runs, name="Monday")
    at = opened("runs")
    assert len(at.dataframe[0].value) >= 5
    at.text_input(key="runs-search").set_value("monday").run()
    assert len(at.dataframe[0].value) == 1
    assert "1 of " in texts(at)


def result(right: list[bool]) -> dict[str, object]:
    return {
        "model": "m", "test_set": "t", "test_images": len(right), "right": packed(right),
        "quantized_top1": sum(right) / len(right), "top1_band": {"quantized": [0.0, 1.0]},
    }  # fmt: skip


def test_two_runs_are_told_apart_image_by_image_though_their_bands_overlap() -> None:
    one = result([False] * 60 + [True] * 940)
    other = result([True] * 990 + [False] * 10)
    assert "**5.00 points better**" in _pair(0, 1, one, other)
    assert "**5.00 points worse**" in _pair(0, 1, other, one)
    assert "not distinguishable" in _pair(0, 1, one, one)


def test_results_stand_before_the_images_and_say_whether_those_are_the_same(runs: Path) -> None:
    ids = [fabricate(runs, Fabricated(seed=seed)).run_id for seed in (0, 1)]
    at = opened("compare", runs=",".join(ids))
    heads = [one.value for one in at.subheader]
    assert heads.index("What came out?") < heads.index("How did the images grow?")
    assert "Calibration images: **different**" in texts(at)
