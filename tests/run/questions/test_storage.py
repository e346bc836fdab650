"""What a finished tiny run's codes take, by the file that holds them."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from engine.__main__ import main
from engine.core.errors import UserError
from engine.export.packing import pack
from engine.run.exports.plain import plain_network
from engine.run.questions.costs.storage import storage
from engine.run.questions.why.opened import open_run
from tests.run.toy_runs import RECIPE, begun, rounded_at

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def folder(monkeypatch, tmp_path):
    return rounded_at(3, monkeypatch, tmp_path)


def test_every_layer_is_counted_and_the_smallest_form_chosen(folder, capsys):
    assert main(["storage", folder.run_id, "--json", "--runs", str(folder.path.parent)]) == 0
    found = json.loads(capsys.readouterr().out)
    run = open_run(folder, images=1)
    grids = plain_network(run.context, run.student).weights
    assert [row["path"] for row in found["layers"]] == [*grids]
    for row in found["layers"]:
        grid = grids[row["path"]]
        zero = grid.codes == grid.zero_point.reshape(-1, *[1] * (grid.codes.ndim - 1))
        assert row["zeros"] == pytest.approx(zero.mean())
        assert row["bytes"]["packed"] == len(pack(grid.codes, grid.bits))
        forms = {form: row["bytes"][form] for form in ("packed", "huffman", "sparse")}
        assert row["bytes"][row["form"]] == min(forms.values())
        shifted = grid.codes.astype(int) - grid.zero_point.reshape(-1, *[1] * (zero.ndim - 1))
        share = np.unique(shifted, return_counts=True)[1] / grid.codes.size
        assert row["entropy_bits"] == pytest.approx(-sum(p * math.log2(p) for p in share), abs=1e-9)
        assert row["bytes"]["entropy"] == math.ceil(row["entropy_bits"] * grid.codes.size / 8)
    total = found["total"]
    assert total["chosen_bytes"] == sum(row["bytes"][row["form"]] for row in found["layers"])
    assert total["file_bytes"] > total["chosen_bytes"] + total["grid_bytes"]  # names and shapes too
    assert total["ratio"] == pytest.approx(total["file_bytes"] / total["float32_bytes"])


def test_it_is_kept_and_told_as_a_table(folder, capsys, monkeypatch):
    words = ["storage", folder.run_id, "--runs", str(folder.path.parent)]
    assert main(words) == 0
    first = capsys.readouterr().out
    assert "every code read back as it was" in first
    monkeypatch.setattr("engine.run.questions.costs.storage.storage", None)
    assert main(words) == 0
    assert capsys.readouterr().out == first


def test_codes_that_are_not_read_back_are_no_answer(folder, monkeypatch):
    monkeypatch.setattr(
        "engine.export.storage.file.unpack",
        lambda data, bits, count: np.zeros(count, np.uint8),
    )
    monkeypatch.setattr(
        "engine.export.storage.file.read",
        lambda form, data, shape: np.zeros(shape, np.int16),
    )
    with pytest.raises(RuntimeError, match="not read back"):
        storage(folder)


def test_an_unfinished_run_has_no_codes_yet(folder):
    other = begun(folder.path.parent, replace(RECIPE, quantization="nearest", seed=5))
    with pytest.raises(UserError, match="is not finished"):
        storage(other)
