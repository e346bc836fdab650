"""Faults planted into real runs of bundled networks: the doctor names cause and layer first or second."""

import pytest
import torch

from tests.run.doctor.planted import (
    again,
    asked,
    block_file,
    checkpoint,
    few_test_images,
    finished,
    first_two,
    in_file,
    scaled_channel,
    shuffled_codes,
    still_variance,
    top,
)
from tests.thorough import thorough


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return few_test_images(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def healthy(data, tmp_path_factory):
    with torch.no_grad():
        return finished(tmp_path_factory.mktemp("healthy"), data, "mobilenet-fashion")


@pytest.fixture(autouse=True)
def no_grad(monkeypatch):
    monkeypatch.setattr("engine.core.device.choose", lambda: torch.device("cpu"))
    with torch.no_grad():
        yield


def red(found):
    return [one["rule"] for one in found["findings"] if one["severity"] == "red"]


def test_a_healthy_run_has_nothing_red(healthy, data, tmp_path):
    assert red(asked(healthy)) == []
    assert red(asked(finished(tmp_path / "runs", data, "vgg-fashion"))) == []


def test_a_channel_scaled_by_fifty(data, tmp_path):
    change = scaled_channel("layer2.1.bn1", "layer2.1.conv2", 5, 50.0)
    weights = checkpoint("resnet20-fashion", tmp_path / "scaled.safetensors", change)
    folder = finished(tmp_path / "runs", data, "resnet20-fashion", bits=4, weights=weights)
    found = asked(folder, "activation-outlier", "layer2.1.conv2")
    assert ("activation-outlier", "layer2.1.conv2") in first_two(found)
    sound = finished(tmp_path / "runs", data, "resnet20-fashion", bits=4)
    lost = folder.result()["logit_kl"] - sound.result()["logit_kl"]
    assert found["attempt"]["measured_gain"] > 0.5 * lost > 0


def test_one_range_cut_to_a_tenth(data, tmp_path):
    layer = "features.2.0"
    folder = finished(tmp_path / "runs", data, "vgg-fashion")
    file, key = block_file(folder, layer)
    in_file(file, lambda state: state[key].div_(10))
    again(folder)
    found = asked(folder, "clipped-range")
    assert ("clipped-range", layer) in first_two(found)
    tried = found["attempt"]
    assert tried["measured_gain"] > 0.9 * folder.result()["logit_kl"]  # most of what was lost


def test_images_normalised_otherwise_than_in_training(healthy, data, tmp_path):
    wrong = {"mean": [0.0], "std": [1.0]}
    folder = finished(tmp_path / "runs", data, "mobilenet-fashion", model_settings=wrong)
    found = asked(folder, "normalisation")
    assert ("normalisation", "stem.1") in first_two(found)
    assert found["findings"][0]["severity"] == "red"
    lost = healthy.result()["quantized_top1"] - folder.result()["quantized_top1"]
    assert found["attempt"]["measured_gain"] > 0.5 * lost > 0


def test_one_layer_at_two_bits_among_eight(data, tmp_path):
    layer = "blocks.1.expand.0"
    own = {"bits": {"weight_bits": {layer: 2}}}
    folder = finished(tmp_path / "runs", data, "mobilenet-fashion", settings=own)
    found = asked(folder, "few-bits")
    assert ("few-bits", layer) in first_two(found)
    assert found["attempt"]["measured_gain"] > 0.5 * folder.result()["logit_kl"]


@pytest.mark.parametrize(
    ("model", "norm"),
    [("preact-fashion", "layer2.1.bn2"), *thorough(("resnet20-fashion", "layer1.0.bn2"))],
)
def test_a_variance_next_to_zero(model, norm, data, tmp_path):
    weights = checkpoint(model, tmp_path / "still.safetensors", still_variance(norm, 3))
    folder = finished(tmp_path / "runs", data, model, weights=weights)
    found = asked(folder, "tiny-variance")
    assert ("tiny-variance", norm) in first_two(found)
    lost = finished(tmp_path / "runs", data, model).result()["quantized_top1"]
    lost -= folder.result()["quantized_top1"]
    assert found["attempt"]["measured_gain"] > 0.5 * lost > 0.2


def test_some_images_a_hundred_times_as_bright(data, tmp_path):
    folder = finished(tmp_path / "runs", data, "vgg-fashion", bits=6)
    (file,) = folder.path.glob("images-*.safetensors")
    in_file(file, lambda state: state.update(images=top(state["images"], 0.05, 100.0)))
    again(folder, forget=("blocks/*",))
    found = asked(folder, "image-range")
    assert found["findings"][0]["rule"] == "image-range"
    assert found["findings"][0]["evidence"]["images"] == [5, 25]
    assert found["attempt"]["measured_gain"] > 0.5 * folder.result()["logit_kl"]


def test_roundings_that_were_learned_to_a_wrong_end(data, tmp_path):
    learner = {"quantization": "genie-m", "settings": {"steps": 2, "batch": 8}}
    folder = finished(tmp_path / "runs", data, "vgg-fashion", **learner)
    assert "learning-harm" not in red(asked(folder))
    in_file(sorted(folder.path.glob("blocks/*"))[2], shuffled_codes)
    again(folder)
    found = asked(folder)["findings"][0]
    assert (found["rule"], found["severity"]) == ("learning-harm", "red")
    assert found["predicted_gain"] > 0.5 * folder.result()["logit_kl"]
