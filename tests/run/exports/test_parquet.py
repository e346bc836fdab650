"""All finished runs as one table."""

import csv
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from engine.__main__ import main
from engine.core.errors import UserError
from engine.run.exports.parquet import write_parquet
from tests.run.toy_runs import RECIPE, begun, work


def test_every_finished_run_is_a_row_with_its_recipe_and_its_numbers(toy, tmp_path, capsys):
    quick = replace(RECIPE, quantization="nearest", quantization_settings={})
    folders = [begun(tmp_path / "runs", replace(quick, seed=seed)) for seed in (1, 2)]
    results = [work(folder) for folder in folders]
    begun(tmp_path / "runs", replace(quick, seed=3))
    file = tmp_path / "all.parquet"
    assert main(["table", str(file), "--runs", str(tmp_path / "runs")]) == 0
    assert "2 runs in" in capsys.readouterr().out
    rows = {row["run"]: row for row in pq.read_table(file).to_pylist()}
    assert rows.keys() == {folder.run_id for folder in folders}
    for folder, result in zip(folders, results, strict=True):
        row = rows[folder.run_id]
        assert row["recipe.seed"] == folder.recipe.seed
        assert row["agreement"] == result["agreement"]
        assert row["size_bytes.quantized"] == result["size_bytes"]["quantized"]


def test_no_runs_no_table(tmp_path):
    with pytest.raises(UserError, match="holds no finished run"):
        write_parquet(tmp_path, tmp_path / "all.parquet")


@pytest.fixture
def finished(toy, tmp_path):
    quick = replace(RECIPE, quantization="nearest", quantization_settings={})
    folders = [begun(tmp_path / "runs", replace(quick, seed=seed)) for seed in (1, 2)]
    for folder in folders:
        folder.finish(
            {"agreement": 0.5, "note": 'a, "b"', "size_bytes": {"quantized": 7}, "layers": [],
            "test_images": 40, "seconds": {"evaluation": 1.0}}
        )  # fmt: skip
    return tmp_path / "runs"


@pytest.mark.parametrize("name", ["all.csv", "all.CSV"])
def test_a_csv_is_written_as_one_with_the_same_cells(finished, name, tmp_path, capsys):
    for file in ("all.parquet", name):
        assert main(["table", str(tmp_path / file), "--runs", str(finished)]) == 0
    assert "2 runs in" in capsys.readouterr().out
    with (tmp_path / name).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    told = pq.read_table(tmp_path / "all.parquet").to_pylist()
    assert [row["run"] for row in rows] == [row["run"] for row in told]
    assert rows[0].keys() == told[0].keys()
    assert [(row["agreement"], row["note"], row["size_bytes.quantized"]) for row in rows] == [
        ("0.5", 'a, "b"', "7")
    ] * 2


@pytest.mark.parametrize("name", ["all.xlsx", "all", ".csv.gz", ""])
def test_another_kind_of_file_is_refused_and_not_written(finished, name, tmp_path, capsys):
    file = str(tmp_path / name) if name else ""
    assert main(["table", file, "--runs", str(finished)]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "give a .parquet or .csv file" in told
    assert not (file and Path(file).exists())


def test_a_csv_that_cannot_be_written_is_told_in_a_line(finished, tmp_path, capsys):
    assert main(["table", str(tmp_path / "gone" / "all.csv"), "--runs", str(finished)]) == 2
    told = capsys.readouterr().err
    assert "all.csv cannot be written" in told
    assert told.count("\n") == 1
