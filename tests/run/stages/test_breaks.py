"""Broken off, cancelled or out of disk: a run goes on to the very numbers of an undisturbed one."""

import errno
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.core.events import Stepped
from engine.run.folders.folder import RunFolder
from engine.run.stages.quantization import quantize
from engine.run.stages.synthesis import synthesise
from engine.synthesis.methods.genie import Genie
from tests.run.toy_runs import (
    QUANT_STEPS,
    RECIPE,
    STEPS,
    assert_same,
    begun,
    break_at,
    in_stage,
    made,
    wish_cancel,
    work,
)

pytestmark = pytest.mark.usefixtures("toy")


@pytest.mark.parametrize(
    ("stage", "step"),
    [("synthesis", 1), ("synthesis", STEPS), ("synthesis", STEPS + 1), ("quantization", 1),
     ("quantization", 2 * QUANT_STEPS), ("quantization", 2 * QUANT_STEPS + 1)],
)  # fmt: skip
def test_a_cancelled_run_goes_on_to_the_same_bits(straight, tmp_path, monkeypatch, stage, step):
    folder = begun(tmp_path / "broken")
    with monkeypatch.context() as patch:
        break_at(patch, in_stage(stage, step), wish_cancel)
        assert work(folder) is None
    assert folder.status()["state"] == "cancelled"
    assert work(folder)["run"] == folder.run_id
    assert folder.status()["state"] == "done"
    assert not (folder.path / "checkpoint").exists()
    assert_same(straight, folder)


def no_space(*_args, **_kwargs):
    raise OSError(errno.ENOSPC, "No space left on device", "images.webp")


@pytest.mark.parametrize(
    ("module", "name"),
    [(synthesise, "montage"), (synthesise, "moments_file"), (quantize, "measure_layers"),
     (quantize, "stored_block")],
)  # fmt: skip
def test_a_full_disk_is_told_and_the_run_goes_on_once_there_is_room(
    straight, tmp_path, monkeypatch, module, name
):
    folder = begun(tmp_path / "broken")
    with monkeypatch.context() as patch:
        patch.setattr(module, name, no_space)
        failure = work(folder)
    assert "the disk is full" in failure.message
    assert "resume" in failure.advice
    assert folder.status()["state"] == "failed"
    work(folder)
    assert_same(straight, folder)


def test_a_disk_that_is_full_for_events_is_told_by_the_reserve(straight, tmp_path, monkeypatch):
    folder = begun(tmp_path / "broken")
    append = RunFolder.append

    def full(self, event):
        if (self.path / ".reserve").exists() and isinstance(event, Stepped):
            no_space()
        append(self, event)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "append", full)
        assert "the disk is full" in work(folder).message
    work(folder)
    assert_same(straight, folder)


def test_files_that_mean_finished_are_put_in_place_as_a_whole(tmp_path, monkeypatch):
    """A process killed in the midst of writing must not leave a torn file by a finished one's name."""
    placed, replace_path = set(), Path.replace

    def spy(self, target):
        placed.add(Path(target).name)
        return replace_path(self, target)

    monkeypatch.setattr(Path, "replace", spy)
    folder = begun(tmp_path / "r")
    work(folder)
    assert {"recipe.json", "result.json"} <= placed
    assert {file for file, _ in made(folder)} <= placed


def test_missing_weights_are_named_with_the_way_out(tmp_path):
    folder = begun(tmp_path / "r", replace(RECIPE, weights="/nowhere/w.pth"))
    assert work(folder).message.startswith("weights file /nowhere/w.pth is not there; give another")
    assert folder.result() is None


def test_a_loss_that_is_no_number_ends_the_run_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(Genie, "step", lambda self: {"batchnorm": torch.tensor(float("nan"))})
    failure = work(begun(tmp_path / "r"))
    assert "the loss 'batchnorm' of synthesis/0 is nan at step 1" in failure.message
