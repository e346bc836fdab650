"""What is measured of a layer, found again from outside."""

from dataclasses import replace

import numpy as np
import pytest

from engine.core.events import LayerMeasured, SnapshotSaved, Stepped
from tests.run.toy_runs import BLOCKS, IMAGES, RECIPE, begun, of, only_the_toy, work


@pytest.fixture(autouse=True)
def toy(monkeypatch, tmp_path):
    only_the_toy(monkeypatch, tmp_path)


@pytest.mark.parametrize("name", ["nearest", "lq-nets"])
def test_every_layer_says_how_its_levels_are_used(tmp_path, name):
    folder = begun(tmp_path / "runs", replace(RECIPE, quantization=name, quantization_settings={}))
    result = work(folder)
    measured = {event.path: event.values for event in of(folder, LayerMeasured)}
    assert set(measured) == {layer["path"] for layer in result["layers"]}
    for values in measured.values():
        assert 0 < values["weight_entropy_bits"] <= values["weight_level_bits"]
        assert values["weight_level_bits"] == values["weight_bits"]
        assert 0 <= values["weight_dead_levels"] < 1
        assert 0 <= values["weight_clip_share"] < 0.5
        assert 0.8 < values["weight_cosine"] <= 1
        alone = min(values["sqnr_weights_db"], values["sqnr_activations_db"])
        assert values["sqnr_local_db"] < alone + 3  # two errors are seldom less than one
        assert ("input_mse" in values) is ("activation_bits" in values)
    operations = result["bit_operations"]
    assert 0 < operations["quantized"] < operations["fp32"] / 16


def test_uneven_levels_take_more_room_beside_their_codes(tmp_path):
    sizes = {}
    for name in ("nearest", "lq-nets"):
        recipe = replace(RECIPE, quantization=name, quantization_settings={})
        sizes[name] = work(begun(tmp_path / "runs", recipe))["size_bytes"]["quantized"]
    assert sizes["nearest"] < sizes["lq-nets"]


def test_a_greedy_run_leaves_the_path_of_its_error(tmp_path):
    recipe = replace(RECIPE, quantization="gpfq", quantization_settings={"steps": 3})
    folder = begun(tmp_path / "runs", recipe)
    work(folder)
    saved = [event for event in of(folder, SnapshotSaved) if event.name == "path"]
    assert len(saved) == BLOCKS
    with np.load(folder.snapshot(saved[1].file)) as path:
        assert set(path) == {"layer", "column", "error", "nearest"}
        assert len(path["error"]) == 4 * 9 + 6 * 9 + 4  # the columns of down's three layers
    told = [event for event in of(folder, Stepped) if event.stage == "quantization"]
    assert all(set(event.losses) == {"error"} for event in told)
    assert "error_held_out" in told[-1].values or IMAGES < 8
