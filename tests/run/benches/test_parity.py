"""The parity benchmark understands its data, and says what is missing; what it measures is for benchmarks."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from engine.core.errors import UserError
from engine.core.method import describe
from engine.quantization import discover_methods
from engine.run import new_recipe
from engine.run.benches import bench, parity
from engine.run.benches.ladder import LADDER, OWN
from engine.run.benches.parity import _images, _weights, resnet20


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    state = {f"module.{key}": value for key, value in resnet20().state_dict().items()}
    state = {key.replace("fc.", "linear."): value for key, value in state.items()}
    torch.save({"state_dict": state}, folder / "net.th")
    pixels = np.random.default_rng(0).integers(0, 255, (3, 32 * 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "test-0000-0999.png")
    (folder / "labels.json").write_text(json.dumps({"test-0000-0999.png": [7, 0, 3]}))
    return folder


def test_the_published_checkpoint_fits_the_network(data, tmp_path):
    from engine.models.checkpoints.read import read_checkpoint

    file = _weights(data, tmp_path / "out", "net.th")
    resnet20().load_state_dict(read_checkpoint(file).tensors)


def test_a_row_of_the_picture_is_an_image_of_32_by_32(data, tmp_path):
    folder = _images(data, tmp_path / "out")
    assert (folder / "labels.csv").read_text().split() == [
        "file,label", "0000.png,7", "0001.png,0", "0002.png,3"
    ]  # fmt: skip
    with Image.open(data / "test-0000-0999.png") as all_of_them:
        rows = np.asarray(all_of_them)
    with Image.open(folder / "0002.png") as image:
        assert np.array_equal(np.asarray(image), rows[2].reshape(32, 32, 3))


def test_what_is_missing_is_named(data, tmp_path):
    with pytest.raises(UserError, match=r"resnet99\.th"):
        _weights(data, tmp_path / "out", "resnet99.th")
    (data / "labels.json").unlink()
    with pytest.raises(UserError, match=r"labels\.json"):
        _images(data, tmp_path / "out")
    with pytest.raises(UserError, match="--data FOLDER"):
        bench.run("parity")
    assert "parity" in bench.names()


def test_the_ladder_leads_from_the_released_settings_to_the_recipe():
    """What the ablation measures rung by rung are GENIE-M's knobs and, at its end, this very method."""
    genie, own = (
        {knob["name"]: knob["presets"] for knob in describe(discover_methods()[name].Settings)}
        for name in ("genie-m", "quantoscope")
    )
    reached = {name: presets["standard"] for name, presets in genie.items()}
    for rung, change in LADDER.items():
        reached |= change
        if rung == "GENIE-M as released":
            assert all(genie[name]["paper"] == value for name, value in change.items())
        if rung == OWN:
            assert reached | {"steps": 400} == {
                n: presets["standard"] for n, presets in own.items()
            }
            break
    else:
        raise AssertionError("no rung is the recipe itself")


def test_the_published_network_is_one_that_a_recipe_can_name(tmp_path, monkeypatch):
    """All benches on CIFAR-10 stand on it: a field that recipes do not know would end them."""
    weights, pictures = tmp_path / "weights.safetensors", tmp_path / "images"
    save_file(parity.resnet20().state_dict(), weights)
    pictures.mkdir()
    Image.new("RGB", (32, 32)).save(pictures / "one.png")
    monkeypatch.setattr(parity, "_weights", lambda data, folder, name: weights)
    monkeypatch.setattr(parity, "_images", lambda data, folder: pictures)
    network = parity.cifar_network(tmp_path, tmp_path, 20)
    recipe = new_recipe(
        **network, runs=tmp_path, preset="quick", synthesis="genie", quantization="genie-m"
    )
    assert recipe.model.endswith("parity.py:resnet20")
    assert recipe.model_settings["image_shape"] == [3, 32, 32]
