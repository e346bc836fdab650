"""Runs that wait: cheap, in the order in which they were asked for, and told behind what."""

import os
import subprocess
import sys
import threading
import time

import pytest
from filelock import FileLock

from engine.core.events import StateChanged
from engine.run.folders.control import Wish, write_wish
from engine.run.folders.folder import RunFolder
from engine.run.recipes.recipe import Recipe
from engine.run.workers import waiting, worker

NAMES = {"model": "toy", "synthesis": "dream", "quantization": "nearest"}
PATIENCE = 60.0


def a_run(runs, seed, state="queued", asked_s=0.0, **more):
    folder = RunFolder.create(runs, Recipe(**NAMES, seed=seed))
    folder.write_status(state, asked_s=asked_s, **more)
    return folder


def test_a_process_that_waits_holds_no_torch():
    code = (
        "import sys, engine.run.workers.worker\n"
        "sys.exit(bool({'torch', 'pandas', 'scipy', 'PIL'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_line_is_in_the_order_of_asking_whoever_looks(tmp_path):
    second, first = a_run(tmp_path, 1, asked_s=20.0), a_run(tmp_path, 2, "starting", asked_s=10.0)
    at_work = a_run(tmp_path, 3, "running", asked_s=1.0)
    a_run(tmp_path, 4, "cancelled", asked_s=0.0)
    assert [run.path for run in waiting.waiting(tmp_path)] == [first.path, second.path]
    assert waiting.is_next(first)
    assert not waiting.is_next(second)
    place = waiting.place_of(second)
    assert (place.place, place.of, place.at_work) == (2, 2, at_work.run_id)
    assert place.words() == f"2 of 2 in line behind run {at_work.run_id}"
    assert waiting.place_of(at_work) is None


@pytest.mark.parametrize(
    "gone",
    [{"pid": 1}, {"pid": -1}, {"time_s": 5.0}, {"time_s": None, "asked_s": None}, {"time_s": "x"}],
)
def test_one_that_is_gone_or_halted_holds_nobody_up(tmp_path, gone):
    behind = a_run(tmp_path, 1, asked_s=20.0)
    a_run(tmp_path, 2, **{"asked_s": 10.0} | gone)
    assert waiting.is_next(behind)


def test_workers_take_the_slot_in_that_order(tmp_path, monkeypatch):
    """Three that wait at once, started last first; each notes when it gets its turn."""
    order, runs = [], []

    def execute(folder, control, room):
        order.append(folder.run_id)
        yield from ()

    monkeypatch.setattr(worker, "execute", execute)
    monkeypatch.setattr(worker, "LOOK_EVERY_S", 0.02)
    with FileLock(tmp_path / ".slot", thread_local=False):
        threads = []
        for seed, asked in ((1, 30.0), (2, 20.0), (3, 10.0)):
            folder = a_run(tmp_path, seed, "starting", asked_s=asked)
            write_wish(folder.path, Wish())
            runs.append(folder)
            threads.append(threading.Thread(target=worker.run, args=(folder,), daemon=True))
            threads[-1].start()
        end = time.monotonic() + PATIENCE
        while not all(details(folder) for folder in runs):
            assert time.monotonic() < end
            time.sleep(0.02)
        assert order == []
    for thread in threads:
        thread.join(PATIENCE)
    assert order == [folder.run_id for folder in runs[::-1]]
    assert all("in line" in details(folder)[0] for folder in runs)
    assert os.getpid() == runs[0].status()["pid"]


def details(folder):
    """What the run was told when it had to wait."""
    events = [e for _, e in folder.events() if isinstance(e, StateChanged)]
    return [event.detail for event in events if event.state == "queued"]
