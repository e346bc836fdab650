"""Every quantization method goes through a whole tiny run, and its steps add up to those announced."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from engine.core.events import BlockStarted, StageStarted, Stepped
from engine.export.read_codes import read_codes
from engine.quantization import discover_methods
from engine.quantization.grids.sign_activation import SignActivation
from engine.run.context import make_context
from engine.run.exports.export import export
from engine.run.folders.control import Control
from engine.run.questions.costs.storage import storage
from engine.run.questions.why.tensors import tensors
from engine.run.stages.quantization.quantize import load_student
from tests.contracts.nets import TinyResNet, budget
from tests.run.toy_runs import RECIPE, begun, of, only_the_toy, work
from tests.thorough import thorough
from tests.toys import TinyViT

METHODS = discover_methods()
BINARY = [name for name, cls in METHODS.items() if cls.card.fewest_weight_bits == 1]


@pytest.mark.parametrize("network", [TinyResNet, TinyViT])
@pytest.mark.parametrize("name", METHODS)
def test_a_whole_run_ends_with_its_result(name, network, monkeypatch, tmp_path):
    only_the_toy(monkeypatch, tmp_path, network)
    settings = asdict(budget(METHODS[name].Settings, steps=2, batch=4))
    recipe = replace(
        RECIPE, synthesis="noise", synthesis_settings={}, quantization=name,
        quantization_settings=settings,
    )  # fmt: skip
    folder = begun(tmp_path / "runs", recipe)
    result = work(folder)
    assert result["quantization"] == name
    (announced,) = (e.total_steps for e in of(folder, StageStarted) if e.stage == "quantization")
    each = [event.total_steps for event in of(folder, BlockStarted)]
    assert sum(each) <= announced  # a method may take steps before its first block
    steps = [event.step for event in of(folder, Stepped) if event.stage == "quantization"]
    assert steps == sorted(steps)
    assert not steps or steps[-1] == announced
    looked_into(folder, result["layers"][2]["path"])


def looked_into(folder, path):
    """One layer's tensors can be drawn, whatever its weights are made of and its input's grid is."""
    found = tensors(folder, path)
    for one in found["input"]["sources"]:
        assert sum(one["shares"]) == pytest.approx(1, abs=0.02)
    assert found["weights"] is not None or any("several parts" in note for note in found["notes"])
    assert found["maps"] is not None


@pytest.mark.parametrize("name", [*BINARY[:2], *thorough(*BINARY[2:])])
def test_a_run_of_1_bit_ends_with_two_values_a_channel_that_are_packed_into_1_bit(
    name, monkeypatch, tmp_path
):
    only_the_toy(monkeypatch, tmp_path)
    settings = asdict(budget(METHODS[name].Settings, steps=2, batch=4))
    recipe = replace(
        RECIPE, synthesis="noise", synthesis_settings={}, quantization=name, weight_bits=1,
        quantization_settings=settings,
    )  # fmt: skip
    folder = begun(tmp_path / "runs", recipe)
    result = work(folder)
    assert result["weight_bits"] == 1
    assert {layer["weight_bits"] for layer in result["layers"]} == {1, 8}
    files = export(folder, ["onnx", "codes"])["files"]
    (codes,) = (one["path"] for one in files if one["kind"] == "codes")
    tensors = load_file(codes)
    for layer in result["layers"]:
        if layer["weight_bits"] == 1:
            weight = folder_weight(folder, layer["path"])
            assert all(len(channel.unique()) <= 2 for channel in weight)
            assert len(tensors[f"{layer['path']}.codes"]) == (weight.numel() + 7) // 8


@pytest.mark.parametrize("network", [TinyResNet, TinyViT])
def test_inputs_of_1_bit_have_two_values_and_are_exported_as_they_are(
    network, monkeypatch, tmp_path
):
    """Behind a ReLU nothing and one size, behind what has both signs two of one size."""
    only_the_toy(monkeypatch, tmp_path, network)
    settings = asdict(budget(METHODS["dir-net"].Settings, steps=2, batch=4))
    recipe = replace(
        RECIPE, synthesis="noise", synthesis_settings={}, quantization="dir-net", weight_bits=1,
        activation_bits=1, quantization_settings=settings,
    )  # fmt: skip
    folder = begun(tmp_path / "runs", recipe)
    result = work(folder)
    assert 1 in {layer["activation_bits"] for layer in result["layers"]}
    control = Control(folder.path, lambda state: None)
    context = make_context(folder.recipe, folder, control, torch.device("cpu"))
    grids = [m for m in load_student(context).modules() if isinstance(m, SignActivation)]
    assert {grid.of_signs for grid in grids} == ({True} if network is TinyViT else {False})
    x = torch.randn(100, generator=torch.Generator().manual_seed(0))
    assert all(len(grid(x).unique()) == 2 for grid in grids)
    assert export(folder, ["onnx"])["proof"]["agreement"] == 1


def folder_weight(folder, path):
    """[channels, n] values of a layer of the finished student."""
    control = Control(folder.path, lambda state: None)
    context = make_context(folder.recipe, folder, control, torch.device("cpu"))
    return load_student(context).get_submodule(path).weight.detach().flatten(1)


def test_a_codebook_for_all_channels_is_written_once_a_layer_and_read_back(monkeypatch, tmp_path):
    only_the_toy(monkeypatch, tmp_path)
    settings = asdict(budget(METHODS["pwfn"].Settings, steps=2, batch=4))
    recipe = replace(
        RECIPE, synthesis="noise", synthesis_settings={}, quantization="pwfn",
        quantization_settings=settings,
    )  # fmt: skip
    folder = begun(tmp_path / "runs", recipe)
    result = work(folder)
    weights = [folder_weight(folder, layer["path"]) for layer in result["layers"]]
    values, counts = np.unique(
        np.concatenate([w.numpy().ravel() for w in weights]), return_counts=True
    )
    shares = counts / counts.sum()
    assert result["weight_values"]["unique"] == len(values)
    entropy = float(-(shares * np.log2(shares)).sum())
    assert result["weight_values"]["entropy_bits"] == pytest.approx(entropy)
    found = export(folder, ["onnx", "codes"])
    assert found["proof"]["agreement"] == 1
    (codes,) = (one["path"] for one in found["files"] if one["kind"] == "codes")
    read = read_codes(codes)
    for layer, weight in zip(result["layers"], weights, strict=True):
        assert np.array_equal(read[f"{layer['path']}.weight"].reshape(weight.shape), weight.numpy())
        levels = load_file(codes)[f"{layer['path']}.levels"]
        assert levels.shape[0] == 1
        assert levels.shape[1] <= 2 ** layer["weight_bits"]
    packed = storage(folder)
    assert packed["exact"]
    for row in packed["layers"]:
        assert row["entropy_bits"] <= row["bits"]
        assert row["grid_bytes"] == 4 * load_file(codes)[f"{row['path']}.levels"].shape[1]
