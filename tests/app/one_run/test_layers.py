"""One layer looked into: numbers with their grades, histograms on the grid, the table of all."""

from pathlib import Path

import pytest

from app.charts.layers import layer as charts
from app.charts.layers.levels import bad_db, good_db
from app.panels.layers.layer_table import COLUMNS, errors, table
from app.wording.layer_numbers import NUMBERS, known_numbers, numbers_of
from engine.run.folders.folder import RunFolder
from tests.app.fabricate import MEASURED, Fabricated, fabricate, look
from tests.app.test_pages import opened, texts

RECORDED = Path(__file__).parents[3] / "assets" / "recorded"
BY_NAME = {one.name: one for one in NUMBERS}


@pytest.mark.parametrize(
    ("name", "value", "grade"),
    [
        ("sqnr_weights_db", good_db(), "good"),
        ("sqnr_weights_db", bad_db() - 0.1, "bad"),
        ("weight_rmse_steps", 0.289, "good"),
        ("weight_rmse_steps", 0.4, "watch"),
        ("weight_rmse_steps", 0.9, "bad"),
        ("weight_dead_levels", 0.0, "good"),
    ],
)
def test_numbers_are_graded_whichever_way_is_up(name: str, value: float, grade: str) -> None:
    one = BY_NAME[name]
    assert one.grade(value) == grade
    assert one.sentence(value) == one.says[("good", "watch", "bad").index(grade)]


def test_bits_not_used_are_what_the_codes_do_not_carry() -> None:
    assert numbers_of({"values": MEASURED})["unused_bits"] == 0.5


def test_levels_that_must_stay_unused_are_not_blamed() -> None:
    values = numbers_of({"values": MEASURED | {"weight_level_bits": 8.0}})
    small = {one.name for one in known_numbers(values, [16, 1, 3, 3])}
    large = {one.name for one in known_numbers(values, [16, 64, 3, 3])}
    assert large - small == {"weight_dead_levels", "unused_bits"}


def test_the_weights_own_error_is_not_blamed_on_codes_that_were_moved() -> None:
    values = numbers_of({"values": MEASURED | {"flipped": 0.0}})
    assert "weight_rmse_steps" in {one.name for one in known_numbers(values, [16, 64, 3, 3])}
    moved = known_numbers(values | {"flipped": 0.2}, [16, 64, 3, 3])
    assert "weight_rmse_steps" not in {one.name for one in moved}


def test_codes_and_floats_stand_on_one_axis() -> None:
    view = look("codes", "fc", 3)
    figure = charts.codes({"what": "fc", "arrays": view.arrays, "values": view.values}).figure
    taken, floats = figure["data"]
    assert figure["layout"]["xaxis"]["range"] == [-1, 3]
    assert taken["x"] == [0, 1, 2, 3]
    assert floats["y"] == view.arrays["floats"]  # bins as wide as a step
    lines = charts.channel({"what": "fc", "arrays": view.arrays, "values": view.values}).figure
    assert [line["x0"] for line in lines["layout"]["shapes"]] == [-1, 0, 1]


def test_the_table_has_a_row_a_layer_and_only_what_is_known() -> None:
    frame = table({"a": {"sqnr_local_db": 20.0}, "b": {"sqnr_local_db": 10.0, "flipped": 0.1}})
    assert list(frame.columns) == ["Layer", "Both", "Codes moved"]
    assert list(frame["Layer"]) == ["a", "b"]
    assert frame["Codes moved"].isna().tolist() == [True, False]


def test_every_number_is_there_when_asked_for_and_says_which_way_is_up() -> None:
    values = dict.fromkeys((column.name for column in COLUMNS), 0.5)
    few, whole = table({"a": values}), table({"a": values}, everything=True)
    assert list(few.columns) == ["Layer", *(one.label for one in COLUMNS if one.always)]
    assert set(whole.columns) - {"Layer"} == {one.label for one in COLUMNS}
    assert len(set(whole.columns)) == len(COLUMNS) + 1
    errors_shown = [one for one in COLUMNS if one.name.startswith(("sqnr", "mse", "cosine"))]
    assert len(errors_shown) == 12
    for one in errors_shown:
        wanted = {"s": "Higher is better", "m": "Lower is better", "c": "1 is best"}[one.name[0]]
        assert wanted in one.definition


def test_the_errors_of_one_layer_have_a_row_for_what_is_quantized() -> None:
    values = {"sqnr_local_db": 20.0, "mse_local": 0.01, "cosine_local": 0.995}
    values |= {"sqnr_accumulated_db": 10.0, "mse_accumulated": 0.1, "cosine_accumulated": 0.95}
    frame = errors(values)
    assert frame["Quantized"].tolist() == ["Both", "With all before"]
    assert frame["MSE"].tolist() == [0.01, 0.1]
    assert frame["Cosine"].tolist() == [0.995, 0.95]
    assert "MSE" not in errors({"sqnr_local_db": 20.0}).columns
    assert errors({}).empty


def test_the_page_opens_on_the_weakest_layer_or_that_of_the_address(runs: Path) -> None:
    folder = fabricate(runs, Fabricated(views=True))
    at = opened("layers", run=folder.run_id)
    assert at.selectbox(key="menu-layer").value == "fc"
    text = texts(at)
    assert "Weights alone 18.0 dB" in text
    assert "The codes carry 3.50 of their 4 bits" in text
    assert "moved for the sake of the output" in text
    text = texts(opened("answers", run=folder.run_id))
    assert "648 B of codes, 120 B of grids" in text
    assert "500 million instead of 32 billion, 64 times fewer" in text
    at = opened("layers", run=folder.run_id, layer="layer1.0.conv2")
    assert at.selectbox(key="menu-layer").value == "layer1.0.conv2"
    at = opened("layers", run=folder.run_id, layer="layer1.0.bn2")  # of the tab of the images
    assert at.selectbox(key="menu-layer").value == "layer1.0.conv2"
    at = opened("layers", run=folder.run_id, layer="elsewhere")
    assert at.selectbox(key="menu-layer").value == "fc"


def test_all_layers_stand_in_a_table_that_can_be_taken_away(runs: Path) -> None:
    folder = fabricate(runs, Fabricated(views=True))
    at = opened("layers", "layer-more", run=folder.run_id)
    (frame,) = [one.value for one in at.dataframe]
    assert "| Both | 14.0\u00a0dB | 0.02 | 0.98000 |" in texts(at)
    assert len(frame) == 4
    assert frame["Dead levels"].tolist() == [25.0] * 4  # in percent
    assert "MSE, both" not in frame  # a table of twenty columns is for who asks for it
    assert len(at.get("download_button")) == 1
    at.toggle(key="all-numbers").set_value(True).run()
    frame = at.dataframe[0].value
    assert frame["MSE, both"].tolist() == [0.02] * 4
    assert frame["Stored bits"].tolist() == [1296, 1296, 1296, 1296]


def test_a_run_of_an_older_version_shows_what_it_has(finished: str) -> None:
    at = opened("layers", "layer-more", run=finished)
    assert "made by an older version" in texts(at)
    assert "times fewer" not in texts(at)
    at.toggle(key="all-numbers").set_value(True).run()
    assert list(at.dataframe[0].value.columns) == [
        "Layer", "Both", "With all before", "Codes moved", "Weight bits", "Input bits",
    ]  # fmt: skip


def test_the_recorded_run_is_drawn_with_what_it_has(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUANTOSCOPE_RECORDED", str(RECORDED))
    (run,) = [folder.name for folder in RECORDED.iterdir() if folder.is_dir()]
    at = opened("layers", "layer-more", run=run)
    assert "What is wrong with one layer?" in texts(at)
    at.toggle(key="all-numbers").set_value(True).run()
    assert not at.exception
    frame = at.dataframe[-1].value
    assert len(frame) == 22
    assert frame["Input RMSE / step"].notna().sum() == 21  # the first layer reads the image


def test_before_the_first_layer_the_page_says_what_comes_first(runs: Path) -> None:
    folder = fabricate(runs, Fabricated(state="running"))
    lines = folder.events_file.read_text().splitlines(keepends=True)
    made = next(k for k, line in enumerate(lines) if '"stage-finished"' in line)
    folder.events_file.write_text("".join(lines[:made]))
    assert "The images come first" in texts(opened("layers", run=folder.run_id))
    begun = next(k for k, line in enumerate(lines) if '"layer-measured"' in line)
    folder.events_file.write_text("".join(lines[:begun]))
    words = texts(opened("layers", run=folder.run_id))
    assert "No layer is measured yet" in words
    assert "come first" not in words
    folder.events_file.write_text("".join(lines[:made]))
    folder.write_status("cancelled")
    words = texts(opened("layers", run=folder.run_id))
    assert "The run ended before a layer was measured" in words


@pytest.mark.parametrize(("state", "awaited"), [("starting", True), ("cancelled", False)])
def test_layers_are_awaited_of_a_worker_at_work_alone(
    runs: Path, state: str, awaited: bool
) -> None:
    folder = RunFolder.create(runs, fabricate(runs.parent / "other", Fabricated()).recipe)
    folder.write_status(state)
    said = texts(opened("layers", run=folder.run_id))
    assert ("when the worker has loaded the network" in said) is awaited


@pytest.mark.parametrize("learns", [True, False])
def test_learning_is_promised_of_a_quantizer_that_learns(
    runs: Path, monkeypatch: pytest.MonkeyPatch, learns: bool
) -> None:
    monkeypatch.setattr("app.panels.layers.at_work.blocks.takes_steps", lambda recipe: learns)
    folder = fabricate(runs, Fabricated(state="running"))
    lines = (folder.path / "events.jsonl").read_text().splitlines(keepends=True)
    early = next(k for k, line in enumerate(lines) if '"quantization"' in line)
    (folder.path / "events.jsonl").write_text("".join(lines[:early]))
    said = texts(opened("layers", run=folder.run_id))
    assert ("What it learns is drawn here" in said) is learns
