"""All finished runs as one table."""

from dataclasses import replace

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
