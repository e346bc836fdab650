"""What is tried out in memory is what a run of the changed recipe ends with; images can be left out."""

import json
from dataclasses import replace

import pytest
import torch

from engine.__main__ import main
from engine.analysis.doctor.finding import Change
from engine.analysis.layers.errors import sqnr_db
from engine.core.errors import UserError
from engine.core.events import Noted
from engine.core.trace import first_value
from engine.quantization.grids.range_rules import activation_range
from engine.run.questions.doctor.counterfactual import changed
from engine.run.questions.doctor.inputs import inputs_of
from engine.run.questions.doctor.leave_one_out import ranges_of
from engine.run.questions.doctor.rough import rounded_to_nearest, with_other_bits
from engine.run.questions.why.opened import open_run
from engine.run.recipes.layer_bits import of_any_quantizer
from engine.run.recipes.recipe import Recipe
from tests.run.toy_runs import RECIPE, begun, of, only_the_toy, work

NEAREST = replace(
    RECIPE, quantization="nearest", weight_bits=2, quantization_settings={"equalise": False}
)


@pytest.fixture
def folder(monkeypatch, tmp_path):
    only_the_toy(monkeypatch, tmp_path)
    folder = begun(tmp_path / "runs", NEAREST)
    with torch.enable_grad():  # images are made
        work(folder)
    return folder


@pytest.fixture(autouse=True)
def no_grad():
    with torch.no_grad():
        yield


def tried(folder, change):
    """The run of the recipe with the change, opened."""
    other = begun(folder.path.parent, changed(folder.recipe, change))
    work(other)
    return other, open_run(other)


def test_nothing_changed_is_the_run_itself(folder):
    run = open_run(folder)
    same = rounded_to_nearest(run)
    assert torch.equal(run.outputs(same, run.test), run.outputs(run.student, run.test))


@pytest.mark.parametrize(
    "change",
    [
        Change(words="", quantization_settings={"activation_range": "min-max"}),
        Change(words="", quantization_settings={"equalise": True}),
        Change(words="", quantization_settings={"batchnorm": "delta"}),
        Change(words="", leave_out=(1, 4)),
        Change(words="", weight_bits={"same.conv1": 8}, leave_out=(0,)),
    ],
    ids=["range", "equalise", "batchnorm", "leave-out", "bits-and-images"],
)
def test_a_student_made_in_memory_is_that_of_the_changed_run(folder, change):
    run = open_run(folder)
    rough = rounded_to_nearest(run, change)
    assert not torch.equal(run.outputs(rough, run.test), run.outputs(run.student, run.test))
    _, other = tried(folder, change)
    wanted = other.outputs(other.student, run.test)
    assert torch.allclose(run.outputs(rough, run.test), wanted, atol=1e-5)


def test_bits_in_memory_are_those_of_the_run_and_go_away_again(folder):
    run = open_run(folder)
    before = run.outputs(run.student, run.test)
    with with_other_bits(run, Change(words="", weight_bits={"head.2": 3})):
        inside = run.outputs(run.student, run.test)
    assert torch.equal(run.outputs(run.student, run.test), before)
    assert not torch.equal(inside, before)
    other = tried(folder, Change(words="", weight_bits={"head.2": 3}))[1]
    wanted = other.outputs(other.student, run.test)  # the last layer: nothing is fitted behind it
    assert torch.allclose(inside, wanted, atol=1e-5)


def test_bits_of_a_shared_input_are_those_of_its_block(folder):
    run = open_run(folder)
    grid = run.student.get_submodule("down").input_quantizer
    with with_other_bits(run, Change(words="", activation_bits={"down.conv1": 7})):
        assert run.student.get_submodule("down").input_quantizer.bits == 7
    assert run.student.get_submodule("down").input_quantizer is grid


def test_an_image_left_out_sets_no_range_and_the_others_are_not_made_again(folder):
    other, run = tried(folder, Change(words="", leave_out=(2,)))
    assert any("The images are those of run" in note.message for note in of(other, Noted))
    kept = torch.cat([open_run(folder).images[:2], open_run(folder).images[3:]])
    assert torch.equal(run.images, kept)
    assert other.recipe.quantization_settings["leave_out"] == [2]
    grid = run.student.get_submodule("down.input_quantizer")
    seen = []
    handle = grid.register_forward_pre_hook(lambda _module, args: seen.append(args[0].clone()))
    run.student(kept)
    handle.remove()
    scale, _, _ = activation_range(seen[0], grid.bits, rule="mse", percentile=99.9)
    assert float(grid.scale) == pytest.approx(scale)


def test_images_left_out_are_counted_among_those_that_the_run_saw():
    recipe = replace(NEAREST, quantization_settings={"leave_out": [0, 3]})
    more = changed(recipe, Change(words="", leave_out=(0, 2)))  # of 1, 2, 4, 5, ..: 1 and 4
    assert more.quantization_settings["leave_out"] == [0, 1, 3, 4]


@pytest.mark.parametrize("value", ["8", "-1", "x", [0, 1, 2, 3, 4, 5, 6]])
def test_places_that_there_are_not_are_refused(value):
    with pytest.raises(UserError, match="leave_out"):
        of_any_quantizer({"leave_out": value}, {"name": "nearest"}, 8)


def test_places_are_read_however_they_are_written():
    assert of_any_quantizer({"leave_out": "5,1,5"}, {"name": "nearest"}, 8) == {"leave_out": [1, 5]}
    assert of_any_quantizer({"leave_out": ""}, {"name": "nearest"}, 8) == {}


def test_a_quantizer_that_chooses_bits_is_given_none():
    recipe = Recipe(model="toy", synthesis="genie", quantization="mixed")
    with pytest.raises(UserError, match="chooses each layer's bits itself"):
        changed(recipe, Change(words="", weight_bits={"same.conv1": 8}))


def test_what_an_image_does_to_a_range_is_what_a_grid_without_it_shows(folder):
    run = open_run(folder)
    run.images[3] *= 40
    found = inputs_of(run)["down.input_quantizer"]
    assert found.wild is not None
    assert found.wild.images == (3,)
    grid = run.student.get_submodule("down.input_quantizer")
    seen = []
    handle = grid.register_forward_pre_hook(lambda _module, args: seen.append(args[0].clone()))
    run.student(run.images)
    handle.remove()
    others = torch.cat([seen[0][:3], seen[0][4:]])
    whole, rest = (
        activation_range(x, grid.bits, rule="mse", percentile=99.9)[0] for x in (seen[0], others)
    )
    assert found.wild.step_ratio == pytest.approx(whole / rest)


def test_the_range_without_an_image_is_that_of_a_run_without_it(folder):
    first, *_ = ranges_of(open_run(folder))
    assert first["layer"] == "down.conv1"
    assert first["step"] == pytest.approx(
        float(open_run(folder).student.get_submodule("down").input_quantizer.scale)
    )
    reaches = [one["reach"] for one in first["images"]]
    assert reaches == sorted(reaches, reverse=True)
    for one in first["images"][:2]:
        _, run = tried(folder, Change(words="", leave_out=(one["image"],)))
        down = run.student.get_submodule("down")  # nothing quantized stands before it
        assert one["step"] == pytest.approx(float(down.input_quantizer.scale))


def test_the_command_tells_each_layers_furthest_images(folder, capsys):
    words = ["ranges", folder.run_id, "--runs", str(folder.path.parent)]
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    first = ranges_of(open_run(folder))[0]
    assert found["ranges"][0]["layer"] == first["layer"]
    assert found["ranges"][0]["images"] == first["images"]
    assert main(words) == 0
    assert "gain of the others, dB" in capsys.readouterr().out


def test_the_error_without_an_image_is_that_of_the_others(folder):
    run = open_run(folder)
    first, *_ = ranges_of(run)
    image = first["images"][0]
    others = [k for k in range(len(run.images)) if k != image["image"]]
    x = first_value(run.student, "down.input_quantizer", "input", run.images)[others]
    teacher, layer = (
        run.teacher.get_submodule("down.conv1"),
        run.student.get_submodule("down.conv1"),
    )
    high = 2 ** run.student.get_submodule("down").input_quantizer.bits - 1
    for step, told in ((first["step"], "sqnr_db"), (image["step"], "sqnr_without_db")):
        read = (x / step).round().clamp(0, high) * step
        got = teacher._conv_forward(read, layer.weight, None)
        assert image[told] == pytest.approx(sqnr_db(teacher(x), got), abs=1e-3)
