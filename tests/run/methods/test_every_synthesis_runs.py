"""Every synthesis method goes through a whole tiny run, half of them to a reconstruction."""

from dataclasses import asdict, replace
from itertools import cycle

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from engine.core.events import RunFailed, StageStarted, Stepped
from engine.core.method import describe
from engine.run.stages.synthesis.reuse import STUDENT_FILE
from engine.synthesis import discover_methods
from tests.contracts.nets import budget
from tests.run.toy_runs import RECIPE, begun, of, only_the_toy, work

METHODS = discover_methods()
QUANTIZERS = {"nearest": {}, "genie-m": {"steps": 2, "batch": 4}}
BUDGET = {"steps": 2, "batch": 4, "width": 16, "latent": 8, "noise_images": 16}
CO_TRAINED = [
    name for name in METHODS
    if any(knob["name"] == "co_training" for knob in describe(METHODS[name].Settings))
]  # fmt: skip


@pytest.fixture
def runs(monkeypatch, tmp_path):
    only_the_toy(monkeypatch, tmp_path)
    return tmp_path / "runs"


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A folder of class folders, four images in each: real ones, as the toy has three classes."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for label in ("a", "b", "c"):
        (folder / label).mkdir()
        for k in range(4):
            pixels = rng.integers(0, 255, (8, 8, 3), np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{k}.png")
    return folder


def recipe_for(name, pictures, quantization="nearest", **changes):
    settings = METHODS[name].Settings
    chosen = {"folder": str(pictures), "recognised": False} | BUDGET | changes
    return replace(
        RECIPE, synthesis=name, synthesis_settings=asdict(budget(settings, **chosen)),
        quantization=quantization, quantization_settings=QUANTIZERS[quantization],
        model_settings={"calibration": str(pictures)},
    )  # fmt: skip


def images_of(folder):
    files = sorted(folder.path.glob("images-*.safetensors"))
    return torch.cat([load_file(file)["images"] for file in files])


@pytest.mark.parametrize(("name", "quantization"), [*zip(METHODS, cycle(QUANTIZERS), strict=False)])
def test_a_whole_run_ends_with_its_result(name, quantization, runs, pictures):
    folder = begun(runs, recipe_for(name, pictures, quantization))
    result = work(folder)
    assert not isinstance(result, RunFailed), result
    assert (result["synthesis"], result["quantization"]) == (name, quantization)
    assert 0 <= result["agreement"] <= 1
    (announced,) = (e.total_steps for e in of(folder, StageStarted) if e.stage == "synthesis")
    steps = [e.step for e in of(folder, Stepped) if e.stage == "synthesis"]
    assert steps == sorted(steps)
    assert steps[-1] == announced
    made = images_of(folder)
    assert made.shape == (RECIPE.images, 3, 8, 8)
    assert torch.isfinite(made).all()


@pytest.mark.parametrize("name", CO_TRAINED)
def test_so_it_does_with_a_student_beside(name, runs, pictures):
    beside = {"co_training": True, "student_warm_up": 0.0}
    folder = begun(runs, recipe_for(name, pictures, **beside))
    result = work(folder)
    assert not isinstance(result, RunFailed), result
    assert (folder.path / STUDENT_FILE).exists()
    assert "student" in of(folder, Stepped)[0].losses


@pytest.mark.parametrize("name", ["genie", "fdda"])
def test_with_every_loss_off_a_run_ends_before_its_first_step(name, runs, pictures):
    knobs = [knob["name"] for knob in describe(METHODS[name].Settings)]
    off = {knob: 0.0 for knob in knobs if knob.endswith("_weight")}
    folder = begun(runs, recipe_for(name, pictures, **off))
    failure = work(folder)
    assert "has nothing to minimise" in failure.message
    assert all(f"synthesis.{weight}" in failure.message for weight in off)
    assert not of(folder, Stepped)
