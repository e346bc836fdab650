"""Inside one layer of a finished tiny run: each number against the networks' own tensors."""

import base64
import json

import numpy as np
import pytest
import torch

from engine.__main__ import main
from engine.core.trace import first_value
from engine.run.questions.why import answers
from engine.run.questions.why.opened import open_run
from engine.run.questions.why.tensors import IMAGES, tensors
from tests.run.toy_runs import rounded_at


@pytest.fixture
def folder(monkeypatch, tmp_path):
    return rounded_at(3, monkeypatch, tmp_path)


@pytest.fixture
def no_grad(folder):
    with torch.no_grad():
        yield


@pytest.mark.parametrize("path", ["same.conv2", "down.conv1", "head.2"])
def test_what_a_layer_reads_and_gives_is_what_the_networks_say(folder, no_grad, path):
    found = tensors(folder, path)
    run = open_run(folder, IMAGES)
    by_block = run.plan[path].by_block
    grid = "down.input_quantizer" if by_block else f"{path}.input_quantizer"
    quantizer = run.student.get_submodule(grid)
    read = first_value(run.student, grid, "input", run.test)
    given = found["input"]
    assert given["levels"] == pytest.approx(quantizer.levels()[0].tolist())
    assert given["bits"] == quantizer.bits
    (source,) = [one for one in given["sources"] if one["name"] == "test"]
    channels = read.movedim(1, 0).flatten(1) if read.dim() == 4 else read.T
    assert source["channels"]["high"] == pytest.approx(channels.amax(1).tolist(), rel=1e-4)
    assert sum(source["shares"]) == pytest.approx(1, abs=1e-3)
    step = float(quantizer.scale)
    outside = (read < given["levels"][0] - step / 2) | (read > given["levels"][-1] + step / 2)
    assert source["clipped"] == pytest.approx(float(outside.float().mean()), abs=1e-6)
    wanted, student = (
        first_value(net, path, "output", run.test) for net in (run.teacher, run.student)
    )
    ratio = wanted.double().square().sum() / (student.double() - wanted).square().sum()
    assert found["output"]["sqnr_db"] == pytest.approx(float(10 * ratio.log10()), abs=1e-3)
    assert any("whole block" in note for note in found["notes"]) is by_block


def test_feature_maps_are_those_of_both_networks(folder, no_grad):
    maps = tensors(folder, "same.conv2")["maps"]
    run = open_run(folder, IMAGES)
    drawn = np.frombuffer(base64.b64decode(maps["data"]), np.uint8).reshape(maps["shape"])
    outputs = [
        first_value(net, "same.conv2", "output", run.test) for net in (run.teacher, run.student)
    ]
    error = (outputs[1] - outputs[0]).square()
    assert maps["channels"][0] == int(error.sum((0, 2, 3)).argmax()), "the worst comes first"
    share = error.flatten(1).sum(1) / outputs[0].flatten(1).square().sum(1)
    assert maps["images"][0] == int(share.argmax())
    for place, channel in enumerate(maps["channels"]):
        low, high, largest = (maps[name][place] for name in ("low", "high", "largest_difference"))
        for row, image in enumerate(maps["images"]):
            floats, quantized = (part[image, channel].numpy() for part in outputs)
            tones = drawn[row, place]
            for part, whole in zip(tones, (floats, quantized), strict=False):
                assert np.abs(low + part / 255 * (high - low) - whole).max() <= (high - low) / 509
            back = -largest + tones[2] / 255 * 2 * largest
            assert np.abs(back - (quantized - floats)).max() <= largest / 254


def test_weights_are_the_student_s_channel_by_channel(folder, no_grad):
    weights = tensors(folder, "same.conv2")["weights"]
    layer = open_run(folder, 1).student.get_submodule("same.conv2")
    values = layer.float_weight.flatten(1)
    assert weights["channels"]["low"] == pytest.approx(values.amin(1).tolist(), rel=1e-4)
    noise = (layer.weight.flatten(1) - values).double().square().sum(1)
    ratio = 10 * (values.double().square().sum(1) / noise).log10()
    assert weights["channels"]["sqnr_db"] == pytest.approx(ratio.tolist(), abs=1e-3)
    for one in weights["one_by_one"]:
        taken = layer.weight[one["channel"]].unique()
        assert one["used"] == len(taken)
        assert all(min(abs(level - float(t)) for level in one["levels"]) < 1e-4 for t in taken)
        assert one["low"] <= min(one["values"]) <= max(one["values"]) <= one["high"]
    assert sum(map(sum, weights["pairs"]["counts"])) == values.numel()


def test_a_row_of_outputs_has_no_maps_and_a_stranger_is_refused(folder, capsys):
    assert tensors(folder, "head.2")["maps"] is None
    place = ["--runs", str(folder.path.parent)]
    assert main(["tensors", folder.run_id, "--layer", "conv9", *place]) == 2
    assert "has no quantized layer 'conv9'; choose one of stem.0" in capsys.readouterr().err


def test_each_layer_s_answer_is_kept_by_itself(folder, capsys):
    place = ["--runs", str(folder.path.parent)]
    assert main(["tensors", folder.run_id, "--layer", "same.conv2", "--json", *place]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["layer"] == "same.conv2"
    assert answers.kept_answer(folder, "tensors", "same.conv2") == found
    assert answers.kept_answer(folder, "tensors", "down.conv1") is None
    assert main(["tensors", folder.run_id, "--layer", "same.conv2", *place]) == 0
    assert "input from" in capsys.readouterr().out
