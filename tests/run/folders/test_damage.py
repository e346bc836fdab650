"""One damaged file costs itself alone: it is set aside, told, and made again from what is left."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.core.events import LayerMeasured, Noted, SnapshotSaved
from engine.quantization import discover_methods
from engine.run.stages.quantization import quantize
from engine.run.stages.quantization.quantize import load_student
from tests.contracts.nets import budget
from tests.run.toy_runs import (
    RECIPE,
    STEPS,
    assert_same,
    begun,
    break_at,
    in_stage,
    of,
    wish_cancel,
    work,
)
from tests.thorough import thorough

pytestmark = pytest.mark.usefixtures("toy")

PUBLISHED = ("agreement", "logit_kl", "layers", "size_bytes")


def torn(file):
    file.write_bytes(file.read_bytes()[:-7])


def empty(file):
    file.write_bytes(b"")


def of_something_else(file):
    save_file({"other": torch.zeros(3)}, file)


def of_another_shape(file):
    kept = load_file(file)
    save_file({k: v[:1] if k.endswith("codes") else v for k, v in kept.items()}, file)


def broken_off(tmp_path, monkeypatch, at):
    folder = begun(tmp_path / "broken")
    with monkeypatch.context() as patch:
        break_at(patch, at, wish_cancel)
        work(folder)
    return folder


def goes_on_as(straight, folder, damaged):
    result = work(folder)
    assert_same(straight, folder)
    assert {k: result[k] for k in PUBLISHED} == {k: straight.result()[k] for k in PUBLISHED}
    if damaged:
        assert (folder.path / f"{damaged}.damaged").exists()
        assert any(Path(damaged).name in note.message for note in of(folder, Noted))


@pytest.mark.parametrize("harm", [torn, of_another_shape, *thorough(empty, of_something_else)])
@pytest.mark.parametrize("block", [0, 1])
def test_a_block(straight, tmp_path, monkeypatch, harm, block):
    """Also one in front of another that is sound, which stays."""
    folder = broken_off(tmp_path, monkeypatch, in_stage("quantization", 10))  # in the third block
    harm(folder.path / "blocks" / f"{block:03d}.safetensors")
    goes_on_as(straight, folder, f"blocks/{block:03d}.safetensors")


@pytest.mark.parametrize("harm", [torn, *thorough(empty, of_something_else)])
def test_a_batch_of_images(straight, tmp_path, monkeypatch, harm):
    folder = broken_off(tmp_path, monkeypatch, in_stage("synthesis", STEPS + 2))
    harm(folder.path / "images-000.safetensors")
    goes_on_as(straight, folder, "images-000.safetensors")


@pytest.mark.parametrize("content", [None, *thorough(b"", b"no checkpoint")])
def test_a_checkpoint(straight, tmp_path, monkeypatch, content):
    folder = broken_off(tmp_path, monkeypatch, in_stage("synthesis", 3))
    file = folder.path / "checkpoint"
    file.write_bytes(file.read_bytes()[:-40] if content is None else content)
    goes_on_as(straight, folder, "checkpoint")


def test_a_checkpoint_of_another_machine_stands_in_the_way_once(straight, tmp_path, monkeypatch):
    folder = broken_off(tmp_path, monkeypatch, in_stage("synthesis", 3))
    torch.save({"key": "synthesis/0", "step": 3, "machine": {}}, folder.path / "checkpoint")
    assert "resume to begin" in work(folder).message
    assert (folder.path / "checkpoint.damaged").exists()
    goes_on_as(straight, folder, "")


def test_events(straight, tmp_path, monkeypatch):
    folder = broken_off(tmp_path, monkeypatch, in_stage("quantization", 10))
    folder.events_file.unlink()
    goes_on_as(straight, folder, "")
    paths = [layer["path"] for layer in straight.result()["layers"]]
    assert [event.path for event in of(folder, LayerMeasured)] == paths


@pytest.mark.parametrize(
    "text", ["null", '{"weight_bits": {"stem.0": 99}}', *thorough("", "[]", "{}")]
)
def test_bits_that_were_chosen(tmp_path, monkeypatch, text):
    settings = budget(discover_methods()["mixed"].Settings, steps=2)
    names = {"synthesis": "noise", "synthesis_settings": {}, "quantization": "mixed"}
    recipe = replace(RECIPE, **names, quantization_settings=asdict(settings))
    straight, folder = begun(tmp_path / "straight", recipe), begun(tmp_path / "broken", recipe)
    wanted = work(straight)
    work(folder)
    (folder.path / "result.json").unlink()
    (folder.path / "bits.json").write_text(text)
    result = work(folder)
    assert (folder.path / "bits.json.damaged").exists()
    assert {k: result[k] for k in PUBLISHED} == {k: wanted[k] for k in PUBLISHED}
    assert result["allocation"] == wanted["allocation"]


class TestNeighbours:
    """Whose images a new run would take over."""

    @pytest.mark.parametrize("harm", [torn, Path.unlink, *thorough(empty, of_something_else)])
    def test_torn_images_are_made_anew(self, straight, harm):
        harm(straight.path / "images-001.safetensors")
        other = begun(straight.path.parent, replace(RECIPE, weight_bits=5))
        assert work(other)["weight_bits"] == 5
        assert not any("are those of run" in note.message for note in of(other, Noted))

    @pytest.mark.parametrize("harm", [empty, Path.unlink])
    def test_a_missing_picture_is_left_out_and_the_images_taken(self, straight, harm):
        pictures = [e for e in of(straight, SnapshotSaved) if e.name == "images"]
        harm(straight.snapshot(pictures[1].file))
        other = begun(straight.path.parent, replace(RECIPE, weight_bits=5))
        assert work(other)["weight_bits"] == 5
        assert any("are those of run" in note.message for note in of(other, Noted))
        told = [event.file for event in of(other, SnapshotSaved)]
        assert pictures[1].file not in told
        assert pictures[2].file in told
        assert all(other.snapshot(file).stat().st_size for file in told)

    @pytest.mark.parametrize("name", ["recipe.json", "status.json", "result.json"])
    @pytest.mark.parametrize("text", ["null", "{", *thorough("[]", "{}", '{"model": {}}')])
    def test_a_file_that_is_no_object_is_passed_over(self, straight, name, text):
        (straight.path / name).write_text(text)
        other = begun(straight.path.parent, replace(RECIPE, weight_bits=5))
        assert work(other)["weight_bits"] == 5


@pytest.mark.parametrize("name", discover_methods())
def test_blocks_come_back_with_the_very_layout_they_had(name, tmp_path, monkeypatch):
    """What a resumed run does behind a kept block has then the same bits, sums being taken in one order."""
    students, contexts, make = [], [], quantize.make_student

    def spy(*args):
        students.append(make(*args))
        return students[-1]

    def seen(context, *args, **more):
        contexts.append(context)
        return begin(context, *args, **more)

    begin = quantize._begin
    monkeypatch.setattr(quantize, "make_student", spy)
    monkeypatch.setattr(quantize, "_begin", seen)
    settings = asdict(budget(discover_methods()[name].Settings, steps=2, batch=4))
    recipe = replace(
        RECIPE, synthesis="noise", synthesis_settings={}, quantization=name,
        quantization_settings=settings,
    )  # fmt: skip
    work(begun(tmp_path / "runs", recipe))
    first = students[0]
    method = quantize.chosen_method(contexts[0])
    again, damaged = begin(contexts[0], contexts[0].teacher, method)
    assert damaged == []
    for path, module in first.named_modules():
        if hasattr(module, "weight_quantizer"):
            mine, theirs = module.weight, again.get_submodule(path).weight
            assert torch.equal(mine, theirs), path
            assert mine.stride() == theirs.stride(), path
    assert load_student(contexts[0]) is not None


def test_a_finished_run_with_a_damaged_block_is_refused_with_the_way_out(straight):
    """An analysis reads what is finished; there is nothing left to make it from."""
    torn(straight.path / "blocks" / "001.safetensors")
    assert json.loads((straight.path / "result.json").read_text())
    from engine.run.context import make_context
    from engine.run.folders.control import Control

    context = make_context(straight.recipe, straight, Control(straight.path), torch.device("cpu"))
    with pytest.raises(ValueError, match="delete the run and start it again"):
        load_student(context)
