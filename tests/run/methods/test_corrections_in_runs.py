"""Corrections as settings of a whole tiny run: kept, loaded again, and warned about."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from engine.core.events import Noted
from engine.quantization.base import QuantizerSettings
from engine.quantization.transforms.bias_and_batchnorm_correction import BatchNormShift
from engine.run.context import make_context
from engine.run.folders.control import Control
from engine.run.stages.quantization.correct import warn
from engine.run.stages.quantization.quantize import load_student
from tests.run.toy_runs import RECIPE, begun, break_at, of, only_the_toy, wish_cancel, work


@pytest.fixture(autouse=True)
def toy(monkeypatch, tmp_path):
    only_the_toy(monkeypatch, tmp_path)


def run(place, **settings):
    settings = {"bias_correction": True, "batchnorm": "delta", **settings}
    recipe = replace(RECIPE, quantization="nearest", quantization_settings=settings)
    folder = begun(place, recipe)
    result = work(folder)
    control = Control(folder.path, lambda state: None)
    return result, make_context(recipe, folder, control, torch.device("cpu")), folder


def test_the_student_that_is_loaded_has_its_corrections_and_its_equal_ranges(tmp_path):
    result, context, folder = run(tmp_path / "runs", equalise=True)
    assert result["agreement"] is not None
    student = load_student(context)
    norms = {name: m for name, m in student.named_modules() if isinstance(m, torch.nn.BatchNorm2d)}
    state = {}
    for file in folder.path.glob("blocks/*.safetensors"):
        state |= load_file(file)
    for name, norm in norms.items():
        assert torch.equal(norm.running_mean, state[f"{name}.running_mean"])
        assert torch.equal(norm.running_var, state[f"{name}.running_var"])
        # (the mean has been put right in the layer's bias before, to the last digits)
        assert not torch.equal(norm.running_var, context.teacher.get_submodule(name).running_var)
    float_weight = student.down.conv2.float_weight
    assert not torch.equal(float_weight, context.teacher.down.conv2.weight)


@pytest.mark.parametrize("bias", [True, False])
def test_no_shift_is_named_that_bias_correction_has_taken_out_before(bias):
    found = [BatchNormShift(path="bn", of_images=0.5, of_bits=0.0 if bias else 0.25)]
    settings = QuantizerSettings(bias_correction=bias, batchnorm="replace")
    (note,) = (event.message for event in warn(found, settings))
    assert "0.50 standard" in note
    assert ("0.25" in note) is (not bias)
    assert ("does harm" in note) is (not bias)
    assert "0.00" not in note
    assert not list(warn(found, QuantizerSettings(bias_correction=bias, batchnorm="delta")))


@pytest.mark.parametrize(("mode", "warned"), [("replace", True), ("delta", False)])
def test_images_unlike_data_are_a_warning_where_their_statistics_are_taken(tmp_path, mode, warned):
    folder = run(tmp_path / "runs", batchnorm=mode)[2]
    notes = [event.message for event in of(folder, Noted)]
    assert any("Taking BatchNorm statistics" in note for note in notes) is warned


def test_a_resumed_run_warns_of_the_blocks_before_the_break_too(tmp_path, monkeypatch):
    settings = {"batchnorm": "replace"}
    straight = run(tmp_path / "straight", **settings)[2]
    recipe = straight.recipe
    folder = begun(tmp_path / "stopped", recipe)
    measured = []

    def late(event):
        measured.extend([event] if event.kind == "layer-measured" else [])
        return len(measured) == 4  # blocks are finished by then

    with monkeypatch.context() as patch:
        patch.setattr("engine.run.step_loop.Thinned.is_due", lambda self: True)
        break_at(patch, late, wish_cancel)
        work(folder)
    assert folder.status()["state"] == "cancelled"
    assert list(folder.path.glob("blocks/*.safetensors"))
    work(folder)
    told, again = (
        [note.message for note in of(one, Noted) if note.message.startswith("Taking")]
        for one in (straight, folder)
    )
    assert told == again
    assert len(told) == 1


@pytest.mark.parametrize(
    ("quantization", "settings", "told"),
    [
        ("gpfq", {"weight_range": "kl"}, "alphabet 'strict'"),
        ("gpfq", {"weight_range": "kl", "alphabet": "grid"}, ""),
        ("gpfq", {}, ""),
        ("lq-nets", {"activation_range": "kl", "turns": 2}, "activations' range"),
        ("lq-nets", {"activation_range": "kl", "activations": "even", "turns": 2}, ""),
        (
            "mixed",
            {"rounding": "gpfq", "effort": "quick", "images": 4, "weight_range": "kl"},
            "'kl'",
        ),
    ],
)
def test_a_rule_that_decides_nothing_is_said_to(tmp_path, quantization, settings, told):
    recipe = replace(RECIPE, quantization=quantization, quantization_settings=settings)
    folder = begun(tmp_path / "runs", recipe)
    work(folder)
    notes = [event.message for event in of(folder, Noted) if "nothing to decide" in event.message]
    assert bool(notes) is bool(told)
    assert all(told in note for note in notes)
