"""Faults planted into real runs of bundled networks: the doctor names cause and layer first or second."""

from functools import cache

import pytest
import torch

from tests.run.doctor.planted import (
    TESTED,
    again,
    asked,
    block_file,
    checkpoint,
    copied,
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

OTHERS = ("resnet20-fashion", "vit-fashion", "binary-fashion", "embedding-fashion", "sr-fashion")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return few_test_images(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def sound(data, tmp_path_factory):
    """A network's run without a fault, made once for all tests."""
    runs = tmp_path_factory.mktemp("sound")

    @cache
    def made(model, bits=8):
        with torch.no_grad():
            return finished(runs, data, model, bits=bits)

    return made


@pytest.fixture(autouse=True)
def no_grad(monkeypatch):
    monkeypatch.setattr("engine.core.device.choose", lambda: torch.device("cpu"))
    with torch.no_grad():
        yield


def red(found):
    return [one["rule"] for one in found["findings"] if one["severity"] == "red"]


@pytest.mark.parametrize(
    "model",
    ["mobilenet-fashion", "vgg-fashion", "preact-fashion", "repvgg-fashion", *thorough(*OTHERS)],
)
def test_a_healthy_run_has_nothing_red(model, sound):
    assert red(asked(sound(model))) == []


@pytest.mark.parametrize(
    ("model", "scaled", "reader", "told"),
    [
        ("preact-fashion", "layer2.1.bn2", "layer2.1.conv2", "logit_kl"),
        ("vgg-fashion", "features.1.0", "features.1.2", "logit_kl"),
        ("sr-fashion", "body.1.conv1", "body.1.conv2", "output_sqnr_db"),
        *thorough(
            ("resnet20-fashion", "layer2.1.bn1", "layer2.1.conv2", "logit_kl"),
            ("embedding-fashion", "layer2.1.bn1", "layer2.1.conv2", "output_sqnr_db"),
        ),
    ],
)
def test_a_channel_scaled_by_fifty(model, scaled, reader, told, sound, data, tmp_path):
    weights = checkpoint(model, tmp_path / "w.safetensors", scaled_channel(scaled, reader, 5, 50.0))
    folder = finished(tmp_path / "runs", data, model, bits=4, weights=weights)
    found = asked(folder, "activation-outlier", reader)
    assert ("activation-outlier", reader) in first_two(found)
    lost = abs(sound(model, 4).result()[told] - folder.result()[told])
    assert found["attempt"]["measured_gain"] > 0.5 * lost > 0.1


@pytest.mark.parametrize(
    ("model", "layer"),
    [
        ("vgg-fashion", "features.2.0"), ("vit-fashion", "blocks.1.mlp.0"),
        ("binary-fashion", "features.1.3"),
        *thorough(("mobilenet-fashion", "blocks.3.project.0"), ("preact-fashion", "layer2.1.conv2")),
    ],
)  # fmt: skip
def test_one_range_cut_to_a_tenth(model, layer, sound, tmp_path):
    folder = copied(sound(model), tmp_path)
    file, key = block_file(folder, layer)
    in_file(file, lambda state: state[key].div_(10))
    again(folder)
    found = asked(folder, "clipped-range")
    assert ("clipped-range", layer) in first_two(found)
    tried = found["attempt"]
    assert tried["measured_gain"] > 0.9 * folder.result()["logit_kl"]  # most of what was lost


@pytest.mark.parametrize(
    ("model", "norm"),
    [
        ("preact-fashion", "layer1.0.bn1"), ("repvgg-fashion", "blocks.0.bn3"),
        ("binary-fashion", "features.0.1"),
        *thorough(("mobilenet-fashion", "stem.1"), ("resnet20-fashion", "bn1")),
    ],
)  # fmt: skip
def test_images_normalised_otherwise_than_in_training(model, norm, sound, data, tmp_path):
    wrong = {"mean": [0.0], "std": [1.0]}
    folder = finished(tmp_path / "runs", data, model, model_settings=wrong)
    found = asked(folder, "normalisation")
    assert ("normalisation", norm) in first_two(found)
    assert found["findings"][0]["severity"] == "red"
    lost = sound(model).result()["quantized_top1"] - folder.result()["quantized_top1"]
    assert found["attempt"]["measured_gain"] > 0.5 * lost > 0.2


@pytest.mark.parametrize(
    ("model", "layer"),
    [
        ("preact-fashion", "layer1.0.conv1"), ("vgg-fashion", "features.1.0"),
        ("repvgg-fashion", "blocks.4.conv3"),
        *thorough(("mobilenet-fashion", "blocks.1.expand.0"), ("vit-fashion", "blocks.1.mlp.0")),
    ],
)  # fmt: skip
def test_one_layer_at_two_bits_among_eight(model, layer, data, tmp_path):
    own = {"bits": {"weight_bits": {layer: 2}}}
    folder = finished(tmp_path / "runs", data, model, settings=own)
    found = asked(folder, "few-bits")
    assert ("few-bits", layer) in first_two(found)
    assert found["attempt"]["measured_gain"] > 0.5 * folder.result()["logit_kl"]


@pytest.mark.parametrize(
    ("model", "norm"),
    [
        ("preact-fashion", "layer2.1.bn2"), ("repvgg-fashion", "blocks.2.bn3"),
        ("mobilenet-fashion", "stem.1"), *thorough(("resnet20-fashion", "layer1.0.bn2")),
    ],
)  # fmt: skip
def test_a_variance_next_to_zero(model, norm, sound, data, tmp_path):
    weights = checkpoint(model, tmp_path / "still.safetensors", still_variance(norm, 3))
    folder = finished(tmp_path / "runs", data, model, weights=weights)
    found = asked(folder, "tiny-variance")
    assert ("tiny-variance", norm) in first_two(found)
    lost = sound(model).result()["quantized_top1"] - folder.result()["quantized_top1"]
    assert found["attempt"]["measured_gain"] > 0.5 * lost > 0.2


@pytest.mark.parametrize(("tested", "told"), [(TESTED, False), (160, True)])
def test_a_variance_next_to_zero_of_embeddings_is_told_by_pairs_where_there_are_enough(
    tested, told, tmp_path, tmp_path_factory
):
    images = few_test_images(tmp_path_factory.mktemp("pairs"), tested)
    norm, model = "layer2.1.bn1", "embedding-fashion"
    weights = checkpoint(model, tmp_path / "still.safetensors", still_variance(norm, 3))
    folder = finished(tmp_path / "runs", images, model, weights=weights)
    found = asked(folder)
    assert found["findings"][0]["layer"] == norm
    assert bool(found["findings"][0]["untold"]) is not told
    if told:
        tried = asked(folder, "tiny-variance")["attempt"]
        assert tried["unit"] == "verification"
        assert tried["measured_band"][0] > 0
        assert tried["helped"]


@pytest.mark.parametrize(
    "model", ["vgg-fashion", "preact-fashion", "repvgg-fashion", *thorough("resnet20-fashion")]
)
def test_some_images_a_hundred_times_as_bright(model, sound, tmp_path):
    folder = copied(sound(model), tmp_path)
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
