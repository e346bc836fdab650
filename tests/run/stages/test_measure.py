"""What is measured of a layer, found again from outside."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.analysis.layers.errors import sqnr_db
from engine.core.events import LayerMeasured, SnapshotSaved, Stepped
from engine.run.context import make_context
from engine.run.folders.control import Control
from engine.run.stages.quantization.quantize import load_student
from engine.run.stages.synthesis.synthesise import load_images
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


def test_the_result_says_of_each_layer_what_was_measured_and_what_it_weighs(tmp_path):
    folder = begun(tmp_path / "runs")
    result = work(folder)
    measured = {event.path: event.values for event in of(folder, LayerMeasured)}
    for layer in result["layers"]:
        values = measured[layer["path"]]
        for part in ("local", "weights", "activations", "accumulated"):
            assert layer[f"sqnr_{part}_db"] == pytest.approx(values[f"sqnr_{part}_db"], abs=6e-4)
            assert layer[f"mse_{part}"] == pytest.approx(values[f"mse_{part}"], rel=1e-5)
            assert layer[f"cosine_{part}"] == pytest.approx(values[f"cosine_{part}"], rel=1e-5)
        assert layer["weight_rmse_steps"] > 0
        assert ("input_rmse_steps" in layer) is (layer["activation_bits"] is not None)
        assert isinstance(layer["weight_bits"], int)
    stored, layers = result["stored_bits"], result["layers"]
    assert sum(layer["stored_bits"] for layer in layers) == stored["codes"] + stored["grids"]
    operations = sum(layer["bit_operations"] for layer in layers)
    assert operations == result["bit_operations"]["quantized"]


def test_errors_of_an_output_are_found_again_from_outside(tmp_path):
    recipe = replace(RECIPE, quantization="nearest", quantization_settings={})
    folder = begun(tmp_path / "runs", recipe)
    (*_, last) = work(folder)["layers"]
    control = Control(folder.path, lambda state: None)
    context = make_context(recipe, folder, control, torch.device("cpu"))
    teacher, student, x = context.teacher, load_student(context), load_images(context)
    seen: list[torch.Tensor] = []
    layer, changed = teacher.get_submodule(last["path"]), student.get_submodule(last["path"])
    handle = layer.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        wanted, everything = teacher(x), student(x)  # the last layer's output is the network's
        handle.remove()
        read, weight = seen[0], changed.weight
        coarse = changed.input_quantizer(read)
        found = {
            "local": coarse @ weight.T + layer.bias,
            "weights": read @ weight.T + layer.bias,
            "activations": coarse @ layer.weight.T + layer.bias,
            "accumulated": everything,
        }
    for part, got in found.items():
        assert last[f"sqnr_{part}_db"] == pytest.approx(sqnr_db(wanted, got), abs=0.01)
        assert last[f"mse_{part}"] == pytest.approx(float(((wanted - got) ** 2).mean()), rel=1e-3)
        cosine = torch.nn.functional.cosine_similarity(wanted.flatten(), got.flatten(), dim=0)
        assert last[f"cosine_{part}"] == pytest.approx(float(cosine), abs=1e-5)
    assert len({last[f"mse_{part}"] for part in found}) == 4


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
