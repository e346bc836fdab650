"""A whole tiny run that nothing disturbs: what it reports and what it leaves behind."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from engine.core.events import (
    BlockStarted,
    LayerMeasured,
    Noted,
    RunFinished,
    RunStarted,
    SnapshotSaved,
    StageFinished,
    StageStarted,
    Stepped,
)
from engine.synthesis.methods.genie import Genie
from tests.run.toy_runs import (
    BLOCKS,
    IMAGES,
    QUANT_STEPS,
    RECIPE,
    STEPS,
    assert_same,
    begun,
    made,
    of,
    work,
)

pytestmark = pytest.mark.usefixtures("toy")


def test_a_run_reports_its_stages_in_order_and_ends_with_its_result(straight):
    result = straight.result()
    stages = ["synthesis", "quantization", "evaluation"]
    assert [event.stage for event in of(straight, StageStarted)] == stages
    assert [event.stage for event in of(straight, StageFinished)] == stages
    told = of(straight, RunFinished)[0].result
    assert told | {"folder": str(straight.path)} == result
    assert len(of(straight, RunStarted)) == 1
    assert straight.status()["state"] == "done"
    assert not (straight.path / "checkpoint").exists()
    assert (result["weight_bits"], result["images"], result["test_images"]) == (3, IMAGES, 4)


def test_steps_count_on_over_batches_and_blocks(straight):
    synthesis, quantization = of(straight, StageStarted)[:2]
    assert (synthesis.total_steps, quantization.total_steps) == (2 * STEPS, BLOCKS * QUANT_STEPS)
    for stage, total in ((synthesis.stage, 2 * STEPS), (quantization.stage, BLOCKS * QUANT_STEPS)):
        steps = [event.step for event in of(straight, Stepped) if event.stage == stage]
        assert steps == sorted(set(steps))
        assert (steps[0], steps[-1]) == (1, total)
    assert {e.part for e in of(straight, Stepped) if e.stage == "synthesis"} == {
        "batch 1", "batch 2",
    }  # fmt: skip
    assert [event.index for event in of(straight, BlockStarted)] == list(range(BLOCKS))


def test_every_event_is_as_the_start_announced(straight):
    (start,) = of(straight, RunStarted)
    assert len(start.bn_layers) == 6
    for event in of(straight, Stepped):
        assert event.stage != "synthesis" or len(event.bn_gap) == 6
        assert all(value == value for value in event.losses.values())
    measured = of(straight, LayerMeasured)
    announced = [layer["path"] for layer in start.layers]
    assert [event.path for event in measured] == announced
    assert [layer["path"] for layer in straight.result()["layers"]] == announced
    for event in of(straight, SnapshotSaved):
        assert straight.snapshot(event.file).stat().st_size > 0
    names = {"images", "channels", "target", "image-statistics"}
    assert {event.name for event in of(straight, SnapshotSaved)} == names


def test_layers_have_the_bits_of_the_plan_and_errors_that_8_bits_make_smaller(straight):
    layers = {layer["path"]: layer for layer in straight.result()["layers"]}
    assert (layers["stem.0"]["weight_bits"], layers["stem.0"]["activation_bits"]) == (8, None)
    assert (layers["head.2"]["weight_bits"], layers["head.2"]["activation_bits"]) == (8, 8)
    assert layers["same.conv2"]["weight_bits"] == 3
    assert layers["stem.0"]["sqnr_local_db"] > layers["same.conv2"]["sqnr_local_db"] + 10


def test_without_test_images_the_verdict_says_what_it_was_measured_on(straight):
    result = straight.result()
    assert result["fp32_top1"] is result["quantized_top1"] is None
    assert result["test_set"] == "other images made by genie, not calibrated on"
    assert any("a few other images" in note.message for note in of(straight, Noted))


def test_the_images_to_judge_by_are_none_of_those_calibrated_on(straight):
    others = load_file(straight.path / "others.safetensors")["images"]
    calibrated = torch.cat([value for (_, key), value in made(straight).items() if key == "images"])
    assert len(others) == straight.result()["test_images"] == 4
    near = torch.cdist(others.flatten(1), calibrated.flatten(1)).min()
    apart = torch.pdist(calibrated.flatten(1)).min()
    assert near > apart / 2


def test_only_a_run_that_was_broken_off_says_it_is_resumed(straight, tmp_path):
    assert [event.resumed for event in of(straight, RunStarted)] == [False]


def test_a_recipe_gives_the_same_numbers_wherever_it_runs(straight, tmp_path):
    again = begun(tmp_path / "again")
    work(again)
    assert_same(straight, again)
    assert straight.result()["agreement"] == again.result()["agreement"]


def test_another_seed_gives_other_images(straight, tmp_path):
    other = begun(tmp_path / "other", replace(RECIPE, seed=1))
    work(other)
    key = ("images-000.safetensors", "images")
    assert not torch.equal(made(straight)[key], made(other)[key])


def test_batches_of_a_run_are_not_alike(straight):
    images = made(straight)
    first = images["images-000.safetensors", "images"]
    second = images["images-001.safetensors", "images"]
    assert len(first) == len(second) == 4
    assert not torch.equal(first, second)


def test_images_do_not_depend_on_the_bits_and_are_taken_over(straight, monkeypatch):
    def step(self):
        raise AssertionError("the same synthesis was computed again")

    monkeypatch.setattr(Genie, "step", step)
    other = begun(straight.path.parent, replace(RECIPE, weight_bits=5))
    assert work(other)["weight_bits"] == 5
    for name in ("images-000.safetensors", "images-001.safetensors"):
        assert torch.equal(made(straight)[name, "images"], made(other)[name, "images"])
    assert any(straight.run_id in note.message for note in of(other, Noted))
    (first, *_), (ended, *_) = of(other, StageStarted), of(other, StageFinished)
    assert first.reused_from == ended.reused_from == straight.run_id
    cost = of(straight, StageFinished)[0].seconds
    assert (ended.seconds, ended.values["reused_s"]) == (0.0, cost)
    result = other.result()
    assert result["seconds"]["synthesis"] == 0
    assert result["reused"] == {"synthesis": {"run": straight.run_id, "seconds": round(cost, 2)}}
    assert straight.result()["reused"] == {}
    third = begun(straight.path.parent, replace(RECIPE, weight_bits=6))
    assert work(third)["reused"]["synthesis"]["seconds"] == round(cost, 2)  # of whoever made them
