"""Whole runs of odd networks: noise, nearest codes, 8 bits; each ends with a result or one line."""

import numpy as np
import pytest
import torch
from PIL import Image

from engine.core.events import Noted, RunFailed
from engine.run.folders.folder import RunFolder
from engine.run.recipes.recipe import Recipe
from engine.run.workers import worker
from tests.models.probing.odd_networks import SHAPE
from tests.models.probing.odder_networks import EVERY, place

KINDS = {name: (function.__doc__ or "").partition(":")[0] for name, function in EVERY.items()}
OF_CHANCE = ("dropout_left_on", "random_output")  # their answers differ from one pass to the next


def recipe_of(name, **changed):
    return Recipe(
        **{
            "model": place(name), "synthesis": "noise", "quantization": "nearest",
            "weight_bits": 8, "activation_bits": 8, "images": 8, "edge_rule": "all",
            "model_settings": {"image_shape": list(SHAPE)},
        } | changed
    )  # fmt: skip


def run(tmp_path, monkeypatch, recipe):
    """The result, or the failure; and all that was said."""
    monkeypatch.setattr("engine.core.device.choose", lambda: torch.device("cpu"))
    folder = RunFolder.create(tmp_path, recipe)
    worker.run(folder)
    events = [event for _, event in folder.events()]
    failures = [event for event in events if isinstance(event, RunFailed)]
    said = " ".join(event.message for event in events if isinstance(event, Noted))
    return (failures[0] if failures else folder.result()), said


def assert_one_line(failure):
    assert failure.mistake, failure.message
    assert "\n" not in failure.message


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind != "refused"])
def test_an_odd_network_ends_with_a_result_or_one_line(tmp_path, monkeypatch, name):
    ended, _ = run(tmp_path, monkeypatch, recipe_of(name))
    if KINDS[name] == "output" and isinstance(ended, RunFailed):
        assert_one_line(ended)
        return
    assert not isinstance(ended, RunFailed), ended.message
    if KINDS[name] != "output":
        assert ended["agreement"] >= (0 if name in OF_CHANCE else 0.85)


@pytest.mark.parametrize("name", ["no_grad", "detached_input", "through_numpy", "rounded_input"])
def test_images_are_not_optimised_through_a_network_without_gradients(tmp_path, monkeypatch, name):
    settings = {"steps": 3, "batch": 4}
    recipe = recipe_of(name, synthesis="zeroq", synthesis_settings=settings)
    ended, _ = run(tmp_path, monkeypatch, recipe)
    assert_one_line(ended)
    assert "gradient" in ended.message
    assert "--synthesis noise" in ended.message


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("batchnorm_untrained", "never saw an image"),
        ("batchnorm_forgets", "keeps no running mean"),
        ("inplace_input", "gets a copy"),
        ("half", "computed in float32"),
    ],
)
def test_what_is_odd_is_said_when_the_run_begins(tmp_path, monkeypatch, name, words):
    _, said = run(tmp_path, monkeypatch, recipe_of(name))
    assert words in said


@pytest.mark.parametrize("name", ["inplace_input", "inplace_relu_first", "inplace_by_data"])
def test_the_students_images_are_those_of_the_teacher(tmp_path, monkeypatch, name):
    ended, _ = run(tmp_path, monkeypatch, recipe_of(name, images=32))
    assert ended["agreement"] >= 0.96


def pictures(folder):
    rng = np.random.default_rng(0)
    folder.mkdir()
    for number in range(8):
        pixels = rng.integers(0, 255, SHAPE[1:] + SHAPE[:1], np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return str(folder)


def test_batchnorm_without_statistics_works_as_it_is_advised_to(tmp_path, monkeypatch):
    """real with a folder works; what needs the statistics says so at once, with that way out."""
    (tmp_path / "runs").mkdir()
    folder = pictures(tmp_path / "pictures")
    settings = {"image_shape": list(SHAPE), "calibration": folder}
    recipe = recipe_of("batchnorm_forgets", synthesis="real", data=folder, model_settings=settings)
    ended, said = run(tmp_path / "runs", monkeypatch, recipe)
    assert ended["agreement"] >= 0.85
    assert "--synthesis real --set model.calibration=FOLDER" in said
    recipe = recipe_of("batchnorm_forgets", synthesis="zeroq", synthesis_settings={"steps": 2})
    refused, _ = run(tmp_path / "runs", monkeypatch, recipe)
    assert_one_line(refused)
    assert "needs BatchNorm statistics" in refused.message
    assert "real with --set model.calibration=FOLDER" in refused.message


@pytest.mark.parametrize(("met_by", "words"), [
    ({"synthesis": "real"}, "runs layer 'a.0' for some images and not for others"),
    ({"synthesis": "noise"}, "layer 'a.0' runs for some images of pictures"),
])  # fmt: skip
def test_a_layer_that_only_real_images_reach_is_never_left_out_in_silence(
    tmp_path, monkeypatch, met_by, words
):
    """No image that the network was looked at with led there: neither noise nor grey ones."""
    (tmp_path / "runs").mkdir()
    folder = pictures(tmp_path / "pictures")
    settings = {"image_shape": list(SHAPE), "calibration": folder}
    recipe = recipe_of("layer_for_lively_images", data=folder, model_settings=settings, **met_by)
    refused, _ = run(tmp_path / "runs", monkeypatch, recipe)
    assert_one_line(refused)
    assert words in refused.message


LAID_OUT = ("view_flatten", "view_in_the_middle", "conv_3d", "as_strided", "inplace_input")


@pytest.mark.parametrize("synthesis", ["zeroq", "genie"])
@pytest.mark.parametrize("name", LAID_OUT)
def test_images_are_made_and_blocks_learned_for_any_layout(tmp_path, monkeypatch, name, synthesis):
    recipe = recipe_of(
        name, synthesis=synthesis, quantization="genie-m",
        synthesis_settings={"steps": 2, "batch": 4}, quantization_settings={"steps": 2, "batch": 4},
    )  # fmt: skip
    ended, _ = run(tmp_path, monkeypatch, recipe)
    assert not isinstance(ended, RunFailed), ended.message
    assert ended["agreement"] is not None


def test_one_recipe_has_one_result(tmp_path, monkeypatch):
    """The factory draws its weights: they are the same whenever it is called."""
    results = []
    for part, seed in (("one", 1), ("two", 2)):
        torch.manual_seed(seed)
        (tmp_path / part).mkdir()
        ended, _ = run(tmp_path / part, monkeypatch, recipe_of("batchnorm_untrained"))
        results.append([layer["sqnr_accumulated_db"] for layer in ended["layers"]])
    assert results[0] == results[1]
