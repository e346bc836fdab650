"""What a finished tiny run's codes take, by the file that holds them."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from engine.__main__ import main
from engine.analysis.answers.accuracy import agreement
from engine.analysis.layers.errors import sqnr_db
from engine.core.errors import UserError
from engine.export.network import WeightGrid
from engine.export.packing import pack
from engine.run.exports.plain import plain_network
from engine.run.questions.costs import planes
from engine.run.questions.costs.crossing import _pruned, crossing
from engine.run.questions.costs.planes import IMAGES
from engine.run.questions.costs.storage import storage
from engine.run.questions.why.opened import open_run
from tests.run.toy_runs import RECIPE, begun, rounded_at, work

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


def test_code_lengths_are_those_of_all_weights(folder):
    for row in storage(folder)["layers"]:
        assert sum(row["lengths"]) == row["weights"]
        if row["form"] == "huffman":
            bits = sum(length * count for length, count in enumerate(row["lengths"]))
            assert bits / row["weights"] == pytest.approx(row["payload_bits"])


def bell(sparsity, shape=(256, 256)):
    """4-bit codes of a bell of weights, a share of them 0 already."""
    random = np.random.default_rng(0)
    codes = np.clip(np.round(random.normal(0, 2.5, shape)) + 8, 0, 15).astype(np.uint8)
    codes[random.random(shape) < sparsity] = 8
    scale, zero = np.ones(shape[0], np.float32), np.full(shape[0], 8, np.uint8)
    return WeightGrid(bits=4, codes=codes, scale=scale, zero_point=zero)


def test_pruned_further_a_layer_is_smallest_in_the_sparse_form_where_nearly_all_is_zero():
    found = crossing({"small": bell(0.0, (8, 8)), "large": bell(0.2)})
    assert (found["path"], found["weights"]) == ("large", 256 * 256)
    shares = [row["zeros"] for row in found["rows"]]
    assert shares == sorted(shares)
    assert shares[0] == pytest.approx((bell(0.2).values() == 0).mean())
    assert shares[-1] == pytest.approx(0.98, abs=1e-4)
    assert 0.8 < found["sparse_from"] < 0.97
    for row in found["rows"]:
        sparse = row["bytes"]["sparse"] <= min(row["bytes"].values())
        assert sparse is (row["zeros"] >= found["sparse_from"])
        assert row["bytes"]["packed"] == 256 * 256 // 2


def test_the_smallest_are_pruned_first_and_what_is_left_is_as_it_was():
    grid = bell(0.0, (30, 40))
    order = np.abs(grid.values()).reshape(-1).argsort(kind="stable")
    pruned = _pruned(grid, order[:900]).values()
    kept = pruned != 0
    assert np.array_equal(pruned[kept], grid.values()[kept])
    assert np.abs(pruned[kept]).min() >= np.abs(grid.values()[~kept]).max()


def test_without_a_zero_there_is_no_crossing():
    levels = np.array([[-1.5, -0.5, 0.5, 1.5]], np.float32)
    grid = WeightGrid(bits=2, codes=np.zeros((3, 5), np.uint8), levels=levels)
    assert crossing({"layer": grid}) is None


def test_planes_give_more_of_the_answers_and_at_the_runs_bits_the_run(folder, capsys):
    nested = replace(
        RECIPE, quantization="vertical", weight_bits=4, quantization_settings={"steps": 0}
    )
    other = begun(folder.path.parent, nested)
    work(other)
    assert storage(folder)["planes"] == []
    assert main(["storage", other.run_id, "--runs", str(folder.path.parent)]) == 0
    assert "planes  bytes read" in capsys.readouterr().out
    rows = storage(other)["planes"]
    assert [row["bits"] for row in rows] == [*range(1, 9)]
    assert [row["bytes"] for row in rows] == sorted(row["bytes"] for row in rows)
    run = open_run(other, IMAGES)
    wanted, given = run.outputs(run.teacher, run.test), run.outputs(run.student, run.test)
    assert rows[3]["sqnr_db"] == pytest.approx(sqnr_db(wanted, given))
    assert rows[3]["agreement"] == agreement(wanted, given)
    assert rows[3]["top1"] is None  # without labels
    assert rows[7]["sqnr_db"] > rows[0]["sqnr_db"] + 10


def test_planes_that_give_something_else_are_no_answer(folder, monkeypatch):
    nested = replace(
        RECIPE, quantization="vertical", weight_bits=4, quantization_settings={"steps": 0}
    )
    other = begun(folder.path.parent, nested)
    work(other)
    found = planes.read_planes

    def off(file, bits):
        one = found(file, bits)
        return one._replace(values={path: 1.001 * value for path, value in one.values.items()})

    monkeypatch.setattr(planes, "read_planes", off)
    with pytest.raises(RuntimeError, match="1 planes do not give"):
        storage(other)


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
