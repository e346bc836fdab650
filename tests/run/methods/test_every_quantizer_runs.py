"""Every quantization method goes through a whole tiny run, and its steps add up to those announced."""

from dataclasses import asdict, replace

import pytest
import torch
from safetensors.numpy import load_file

from engine.core.events import BlockStarted, StageStarted, Stepped
from engine.quantization import discover_methods
from engine.run.context import make_context
from engine.run.exports.export import export
from engine.run.folders.control import Control
from engine.run.stages.quantize import load_student
from tests.contracts.nets import TinyResNet, budget
from tests.run.toy_runs import RECIPE, begun, of, only_the_toy, work
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


@pytest.mark.parametrize("name", BINARY)
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


def folder_weight(folder, path):
    """[channels, n] values of a layer of the finished student."""
    control = Control(folder.path, lambda state: None)
    context = make_context(folder.recipe, folder, control, torch.device("cpu"))
    return load_student(context).get_submodule(path).weight.detach().flatten(1)
