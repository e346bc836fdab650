"""The worker's end: however a run breaks, its viewers read a message and the way out."""

import errno

import pytest

from engine.core.errors import UserError
from engine.core.events import Noted, RunFailed, StateChanged
from engine.run.folders.control import Cancelled
from engine.run.folders.folder import RunFolder
from engine.run.recipes.recipe import Recipe
from engine.run.workers import worker


@pytest.fixture
def folder(tmp_path):
    recipe = Recipe(model="toy", synthesis="dream", quantization="nearest")
    return RunFolder.create(tmp_path, recipe)


def run(folder, monkeypatch, error=None):
    def execute(folder, control, room):
        yield Noted(message="at work")
        if error is not None:
            raise error

    monkeypatch.setattr(worker, "execute", execute)
    return worker.run(folder)


def failure(folder):
    return [event for _, event in folder.events() if isinstance(event, RunFailed)][-1]


def test_a_run_that_ends_well(folder, monkeypatch):
    assert run(folder, monkeypatch) == 0
    assert folder.status()["state"] == "done"
    assert not (folder.path / ".reserve").exists()


def test_a_full_disk_is_told_clearly_and_the_reserve_freed_first(folder, monkeypatch):
    append, reserves = RunFolder.append, []

    def watched(self, event):
        if isinstance(event, RunFailed):
            reserves.append((self.path / ".reserve").exists())
        append(self, event)

    monkeypatch.setattr(RunFolder, "append", watched)
    error = OSError(errno.ENOSPC, "No space left on device", "/runs/r/images.webp")
    assert run(folder, monkeypatch, error) == 1
    assert failure(folder).message == ("the disk is full: /runs/r/images.webp could not be written")
    assert reserves == [False]
    assert "Free some space" in failure(folder).advice
    assert folder.status()["state"] == "failed"
    assert not (folder.path / ".reserve").exists()


@pytest.mark.parametrize(
    ("error", "message", "advice"),
    [
        (UserError("images is 0; choose 1"), "images is 0; choose 1", "Change the recipe"),
        (MemoryError(), "MemoryError", "fewer images"),
        (RuntimeError("can't allocate memory"), "can't allocate memory", "fewer images"),
        (KeyError("x"), "'x'", "worker.log"),
    ],
)
def test_every_other_end_has_a_message_and_advice(folder, monkeypatch, error, message, advice):
    assert run(folder, monkeypatch, error) == 1
    assert failure(folder).message.endswith(message)
    assert advice in failure(folder).advice


def test_a_cancelled_run_is_no_failure(folder, monkeypatch):
    assert run(folder, monkeypatch, Cancelled()) == 0
    assert folder.status()["state"] == "cancelled"
    events = [event for _, event in folder.events()]
    assert events[-1] == StateChanged(state="cancelled", time_s=events[-1].time_s)
