"""Workers as processes: killed, queued, doubled, cancelled; on the bundled network, 8 images, few steps."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from filelock import FileLock
from PIL import Image
from safetensors.torch import load_file

from engine.core.events import RunStarted, StateChanged, Stepped
from engine.run.folders.folder import ACTIVE
from engine.run.recipes.recipe import Recipe
from engine.run.workers import launch

ROOT = Path(__file__).parents[3]
PATIENCE = 120.0  # seconds: a machine may be busy with other things
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="signals are another matter there"),
]


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Sums then come out the same in every process."""
    monkeypatch.setenv("QUANTOSCOPE_THREADS", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder of eight grey images to judge with."""
    folder = tmp_path_factory.mktemp("data")
    for k in range(8):
        pixels = np.random.default_rng(k).integers(0, 256, (28, 28), np.uint8)
        Image.fromarray(pixels).save(folder / f"{k}.png")
    return folder


def recipe(data, **changes):
    base = Recipe(
        model="resnet20-fashion", synthesis="genie", quantization="genie-m", images=8,
        synthesis_settings={"steps": 24, "batch": 8},
        quantization_settings={"steps": 6, "batch": 4}, data=str(data),
    )  # fmt: skip
    return replace(base, **changes)


def quick(data, **changes):
    """A recipe without steps."""
    return recipe(data, synthesis="noise", quantization="nearest", synthesis_settings={},
                  quantization_settings={}, **changes)  # fmt: skip


def wait_for(folder, condition, seconds=PATIENCE):
    """The first event that meets the condition."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for _, event in folder.events():
            if condition(event):
                return event
        time.sleep(0.05)
    raise AssertionError((folder.path / "worker.log").read_text())


def finished(folder, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while folder.status()["state"] in ACTIVE and time.monotonic() < end:
        time.sleep(0.1)
    status = folder.status()
    assert status["state"] == "done", f"{status}\n{(folder.path / 'worker.log').read_text()}"
    return folder.result()


def is_at(stage, step):
    return lambda e: isinstance(e, Stepped) and e.stage == stage and e.step >= step


def is_in_state(state):
    return lambda e: isinstance(e, StateChanged) and e.state == state


def kill_at(folder, stage, step):
    wait_for(folder, is_at(stage, step))
    os.kill(folder.status()["pid"], signal.SIGKILL)
    end = time.monotonic() + PATIENCE
    while folder.status()["state"] != "lost":
        assert time.monotonic() < end, "a killed worker is not seen to be lost"
        time.sleep(0.1)


def made(folder):
    files = [*folder.path.glob("images-*.safetensors"), *folder.path.glob("blocks/*.safetensors")]
    assert len(files) == 12  # 8 images in a batch; a stem, 9 residual blocks, the classifier
    return {(f.name, key): value for f in files for key, value in load_file(f).items()}


def test_killed_cancelled_and_resumed_it_ends_with_the_same_bits(tmp_path, data):
    straight = launch.start(recipe(data), tmp_path / "straight")
    wanted = finished(straight)

    folder = launch.start(recipe(data), tmp_path / "broken")
    launch.go_on(folder, slow_s=0.05)
    kill_at(folder, "synthesis", 3)  # before anything was saved
    launch.resume(folder)
    launch.go_on(folder, slow_s=0.05)
    time.sleep(1)
    wait_for(folder, is_at("synthesis", 10))
    launch.cancel(folder)  # saves in the midst of the batch
    assert (folder.path / "checkpoint").exists()
    launch.resume(folder)
    kill_at(folder, "quantization", 9)  # in the midst of the second block
    launch.resume(folder)
    result = finished(folder)

    a, b = made(straight), made(folder)
    assert a.keys() == b.keys()
    assert [key for key in a if not torch.equal(a[key], b[key])] == []
    same = ("agreement", "logit_kl", "layers", "bn_gap", "size_bytes")
    assert {key: result[key] for key in same} == {key: wanted[key] for key in same}
    assert [event.resumed for _, event in folder.events() if isinstance(event, RunStarted)][1:] == [
        True, True, True,
    ]  # fmt: skip


def test_the_same_recipe_is_found_and_not_computed_again(tmp_path, data):
    first = launch.start(quick(data), tmp_path)
    finished(first)
    events = first.events_file.read_bytes()
    again = launch.start(quick(data), tmp_path)
    assert again.path == first.path
    assert again.status()["state"] == "done"
    time.sleep(0.5)
    assert first.events_file.read_bytes() == events


def test_starting_a_run_at_work_starts_no_second_worker(tmp_path, data):
    folder = launch.start(recipe(data), tmp_path)
    launch.pause(folder)
    wait_for(folder, is_in_state("paused"))
    pid = folder.status()["pid"]
    launch.start(recipe(data), tmp_path)
    assert folder.status()["pid"] == pid

    # A worker that is started past the launcher finds the run taken, and leaves it alone.
    before = folder.events_file.read_bytes()
    second = subprocess.run(
        [sys.executable, "-m", "engine.run.workers.worker", str(folder.path)],
        cwd=ROOT, capture_output=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert second.returncode == 0
    assert folder.events_file.read_bytes() == before
    assert folder.status()["pid"] == pid

    # Cancelled while it is paused, the worker ends.
    end = time.monotonic() + PATIENCE
    launch.cancel(folder)
    assert folder.status()["state"] == "cancelled"
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end, "a cancelled worker stays"
        time.sleep(0.05)


def test_steps_are_taken_one_at_a_time(tmp_path, data):
    folder = launch.start(recipe(data, seed=3), tmp_path)
    launch.pause(folder)
    wait_for(folder, is_in_state("paused"))
    taken = [e.step for _, e in folder.events() if isinstance(e, Stepped)]
    start = taken[-1] if taken else 0
    time.sleep(0.5)
    launch.step(folder, 1)
    wait_for(folder, is_at("synthesis", start + 1))
    time.sleep(0.7)
    taken = [e.step for _, e in folder.events() if isinstance(e, Stepped)]
    assert max(taken) == start + 1
    launch.cancel(folder)


def test_a_second_run_queues_while_another_holds_the_slot(tmp_path, data):
    with FileLock(tmp_path / ".slot"):
        queued = launch.start(quick(data), tmp_path)
        given_up = launch.start(quick(data, seed=1), tmp_path)
        wait_for(queued, is_in_state("queued"))
        wait_for(given_up, is_in_state("queued"))
        launch.cancel(given_up)
        assert given_up.status()["state"] == "cancelled"
        assert queued.status()["state"] == "queued"
        assert not [e for _, e in queued.events() if isinstance(e, RunStarted)]
    finished(queued)
    assert not [e for _, e in given_up.events() if isinstance(e, RunStarted)]


def test_a_run_that_cannot_begin_says_why(tmp_path, data):
    folder = launch.start(quick(data, weights="/nowhere/w.pth"), tmp_path)
    failed = wait_for(folder, lambda e: e.kind == "run-failed")
    assert "/nowhere/w.pth is not there" in failed.message
    end = time.monotonic() + 10
    while folder.status()["state"] in ACTIVE and time.monotonic() < end:
        time.sleep(0.05)
    assert folder.status()["state"] == "failed"
