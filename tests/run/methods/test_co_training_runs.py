"""Whole runs whose student learns beside the images: its weights are kept, and quantized."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from engine.analysis.layers.errors import sqnr_db
from engine.core.events import LayerMeasured, Noted, RunFailed, Stepped
from engine.quantization.trainable_student import TrainedStudent
from engine.run.context import make_context
from engine.run.folders.control import Control
from engine.run.folders.folder import RunFolder
from engine.run.questions.before_a_run import pace
from engine.run.recipes.recipe import Recipe
from engine.run.stages.quantization.quantize import load_student
from engine.run.stages.synthesis.reuse import STUDENT_FILE, synthesis_key
from engine.run.stages.synthesis.synthesise import load_images
from tests.contracts.nets import TinyResNet, ready
from tests.run.toy_runs import (
    assert_same,
    begun,
    break_at,
    in_stage,
    of,
    only_the_toy,
    wish_cancel,
    work,
)

STEPS = 6
BESIDE = {
    "steps": STEPS, "batch": 4, "width": 16, "latent": 8, "co_training": True, "student_lr": 0.05,
    "student_warm_up": 0.2,
}  # fmt: skip
RECIPE = Recipe(
    model="toy", synthesis="gdfq", quantization="nearest", weight_bits=3, activation_bits=4,
    images=8, synthesis_settings=BESIDE,
)  # fmt: skip
STATIC = replace(RECIPE, synthesis_settings=BESIDE | {"co_training": False})


@pytest.fixture(autouse=True)
def toy(monkeypatch, tmp_path):
    only_the_toy(monkeypatch, tmp_path)


@pytest.fixture
def straight(tmp_path):
    folder = begun(tmp_path / "straight", RECIPE)
    work(folder)
    return folder


def opened(folder):
    return make_context(folder.recipe, folder, Control(folder.path), torch.device("cpu"))


def taken_over(folder):
    return any(note.message.startswith("The images are those of run") for note in of(folder, Noted))


def test_quantization_starts_from_what_the_student_learned(straight):
    kept, teacher = load_file(straight.path / STUDENT_FILE), ready(TinyResNet())
    student = load_student(opened(straight))
    weights = dict(student.named_parameters())
    for name, weight in teacher.named_parameters():
        assert torch.equal(weights[name], kept[name])
        assert not torch.equal(weight, kept[name]), name
    for path, layer in student.named_modules():
        if hasattr(layer, "weight_quantizer"):
            quantizer = layer.weight_quantizer
            nearest = quantizer.grid.codes(kept[f"{path}.weight"])
            assert torch.equal(quantizer.codes.float(), nearest), path
    bits = f"W{straight.recipe.weight_bits}A{straight.recipe.activation_bits}"
    assert any(f"trained for {bits} beside" in note.message for note in of(straight, Noted))


def test_errors_are_measured_against_the_network_as_it_came(straight):
    teacher, student = ready(TinyResNet()), load_student(opened(straight))
    images = load_images(opened(straight))
    with torch.no_grad():
        wanted = sqnr_db(teacher.stem[0](images), student.stem[0](images))
    told = {event.path: event.values for event in of(straight, LayerMeasured)}
    assert told["stem.0"]["sqnr_local_db"] == pytest.approx(wanted, abs=1e-3)


def test_the_students_loss_is_told_once_it_has_warmed_up(straight):
    steps = [event for event in of(straight, Stepped) if event.part == "batch 1"]
    assert "student" not in steps[0].losses
    assert "student" in steps[-1].losses
    assert "student_agreement" in steps[-1].values


@pytest.mark.parametrize("where", [("synthesis", 1), ("synthesis", 4), ("quantization", None)])
def test_resuming_changes_nothing(straight, tmp_path, monkeypatch, where):
    folder = begun(tmp_path / "stopped", RECIPE)
    stage, step = where
    condition = in_stage(stage, step) if step else lambda event: event.kind == "layer-measured"
    with monkeypatch.context() as patch:
        patch.setattr("engine.run.step_loop.Thinned.is_due", lambda self: True)
        break_at(patch, condition, wish_cancel)
        work(folder)
    assert folder.status()["state"] == "cancelled"
    assert (folder.path / STUDENT_FILE).exists() is (stage == "quantization")
    result = work(folder)
    assert_same(straight, folder)
    ours, theirs = (load_file(f.path / STUDENT_FILE) for f in (folder, straight))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    same = ("agreement", "logit_kl")
    assert [result[name] for name in same] == [straight.result()[name] for name in same]


@pytest.mark.parametrize(
    "other",
    [{"weight_bits": 4}, {"activation_bits": 3}, {"edge_rule": "all"},
     {"quantization_settings": {"weight_range": "min-max"}}],
)  # fmt: skip
def test_images_made_with_a_student_are_of_its_bits_alone(straight, other):
    folder = begun(straight.path.parent, replace(RECIPE, **other))
    work(folder)
    assert not taken_over(folder)
    mine, theirs = (load_file(f.path / STUDENT_FILE) for f in (folder, straight))
    assert not torch.equal(mine["stem.0.weight"], theirs["stem.0.weight"])


def test_another_quantizer_of_the_same_bits_takes_images_and_weights_over(straight):
    settings = {"steps": 2, "batch": 4}
    recipe = replace(RECIPE, quantization="genie-m", quantization_settings=settings)
    folder = begun(straight.path.parent, recipe)
    work(folder)
    assert taken_over(folder)
    kept = load_file(straight.path / STUDENT_FILE)
    assert torch.equal(load_student(opened(folder)).stem[0].float_weight, kept["stem.0.weight"])


def test_static_images_serve_all_bits_whatever_a_student_would_have_done():
    other = replace(
        STATIC, weight_bits=4, synthesis_settings=STATIC.synthesis_settings | {"student_lr": 1.0}
    )
    assert synthesis_key(STATIC) == synthesis_key(other)
    older = {
        k: v for k, v in BESIDE.items() if k not in ("co_training", "student_lr", "student_warm_up")
    }
    assert synthesis_key(STATIC) == synthesis_key(replace(STATIC, synthesis_settings=older))
    assert synthesis_key(STATIC) != synthesis_key(RECIPE)


def test_without_co_training_there_is_no_student(tmp_path, monkeypatch):
    monkeypatch.setattr(TrainedStudent, "__init__", lambda *_: 1 / 0)
    folder = begun(tmp_path / "static", STATIC)
    assert not isinstance(work(folder), RunFailed)
    assert not (folder.path / STUDENT_FILE).exists()
    teacher = ready(TinyResNet())
    assert torch.equal(load_student(opened(folder)).stem[0].float_weight, teacher.stem[0].weight)


def test_weights_that_were_lost_are_made_again(straight):
    before = (straight.path / STUDENT_FILE).read_bytes()
    (straight.path / STUDENT_FILE).unlink()
    assert not isinstance(work(RunFolder(straight.path)), RunFailed)
    assert (straight.path / STUDENT_FILE).read_bytes() == before


def test_channels_are_equalised_before_the_student_learns(tmp_path):
    folder = begun(tmp_path / "equal", replace(RECIPE, quantization_settings={"equalise": True}))
    result = work(folder)
    assert not isinstance(result, RunFailed)
    assert result["agreement"] >= 0.5


def test_deep_inversion_competes_with_a_student_of_the_recipes_bits(tmp_path):
    settings = {"steps": 3, "batch": 4, "competition_weight": 1.0}
    recipe = replace(RECIPE, synthesis="deep-inversion", synthesis_settings=settings)
    folders = [begun(tmp_path / "runs", replace(recipe, weight_bits=bits)) for bits in (3, 4)]
    for folder in folders:
        work(folder)
        assert "competition" in of(folder, Stepped)[0].losses
        assert not taken_over(folder)
        assert not (folder.path / STUDENT_FILE).exists()


@pytest.mark.parametrize("part", pace.PARTS)
def test_its_pace_can_be_measured(part, monkeypatch):
    monkeypatch.setattr(pace, "memory_mb", lambda: 100.0)
    measured = pace.measure(RECIPE, part)
    assert measured["load_s"] > 0
