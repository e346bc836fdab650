"""Steering: a worker waits, steps, slows and ends as the wishes in its folder say."""

import threading
import time
from dataclasses import replace

import pytest

from engine.run.folders.control import Cancelled, Control, Wish, read_wish, write_wish
from engine.run.folders.folder import RunFolder
from engine.run.workers import launch

SOON_S = 60.0


class Worker:
    """A thread that takes steps under a Control until it is cancelled."""

    def __init__(self, folder):
        self.steps, self.states, self.cancelled = 0, [], False
        self.control = Control(folder, self.states.append)
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self):
        try:
            while True:
                self.control.wait()
                self.steps += 1
                time.sleep(0.001)
        except Cancelled:
            self.cancelled = True

    def end(self):
        self._thread.join(SOON_S)
        assert not self._thread.is_alive()


@pytest.fixture
def worker(tmp_path):
    made = []

    def make(wish=None):
        if wish is not None:
            write_wish(tmp_path, wish)
        made.append(Worker(tmp_path))
        return made[-1]

    yield make
    write_wish(tmp_path, Wish(state="cancel"))
    for one in made:
        one.end()


def until(condition):
    end = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.005)


def stays(value, seconds=0.25):
    before = value()
    time.sleep(seconds)
    return value() == before


def test_without_a_wish_it_runs(worker):
    one = worker()
    until(lambda: one.steps > 3)
    assert one.states == []


def test_pause_stops_before_the_next_step_and_running_on_goes_on(worker, tmp_path):
    one = worker()
    write_wish(tmp_path, Wish(state="pause"))
    until(lambda: one.states == ["paused"])
    assert stays(lambda: one.steps)
    waited = one.steps
    write_wish(tmp_path, Wish(state="run"))
    until(lambda: one.steps > waited)
    assert one.states == ["paused", "running"]
    assert one.control.waited_s > 0.2


def test_single_steps_are_counted_exactly(worker, tmp_path):
    one = worker(Wish(state="pause"))
    until(lambda: one.states == ["paused"])
    assert one.steps == 0
    write_wish(tmp_path, Wish(state="pause", steps=1))
    until(lambda: one.steps == 1)
    write_wish(tmp_path, Wish(state="pause", steps=4))  # three more
    until(lambda: one.steps == 4)
    assert stays(lambda: one.steps)


def test_steps_of_an_earlier_worker_are_not_taken_again(worker):
    one = worker(Wish(state="pause", steps=5))
    until(lambda: one.states == ["paused"])
    assert stays(lambda: one.steps)
    assert one.steps == 0


def test_a_step_after_running_on_is_one_step(worker, tmp_path):
    one = worker()
    until(lambda: one.steps > 2)
    write_wish(tmp_path, Wish(state="pause"))
    until(lambda: one.states == ["paused"])
    before = one.steps
    write_wish(tmp_path, Wish(state="pause", steps=1))
    until(lambda: one.steps == before + 1)
    assert stays(lambda: one.steps)


@pytest.mark.parametrize("wish", [Wish(), Wish(state="pause"), Wish(slow_s=60)])
def test_cancel_ends_it_soon_whatever_it_is_at(worker, tmp_path, wish):
    one = worker(wish)
    time.sleep(0.15)
    write_wish(tmp_path, replace(wish, state="cancel"))
    one.end()
    assert one.cancelled


def test_slow_waits_after_every_step(worker):
    one = worker(Wish(slow_s=0.1))
    time.sleep(0.65)
    assert 2 <= one.steps <= 7


def test_slow_is_left_at_once(worker, tmp_path):
    one = worker(Wish(slow_s=60))
    time.sleep(0.1)
    assert one.steps == 0
    write_wish(tmp_path, Wish())
    until(lambda: one.steps > 3)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"state":"run","more":1}', "null"])
def test_a_wish_that_cannot_be_read_is_to_run(tmp_path, text):
    (tmp_path / "control.json").write_text(text)
    assert read_wish(tmp_path) == Wish()


def test_a_wish_survives_the_disk(tmp_path):
    wish = Wish(state="pause", steps=3, slow_s=0.5)
    write_wish(tmp_path, wish)
    assert read_wish(tmp_path) == wish


class TestPace:
    @pytest.mark.parametrize("state", ["run", "pause"])
    def test_a_pace_is_no_wish_to_go_on(self, tmp_path, state):
        write_wish(tmp_path, Wish(state=state))
        launch.set_pace(RunFolder(tmp_path), 0.4)
        assert read_wish(tmp_path) == Wish(state=state, slow_s=0.4)

    def test_who_goes_on_keeps_the_pace(self, tmp_path):
        write_wish(tmp_path, Wish(state="pause", slow_s=0.4))
        launch.go_on(RunFolder(tmp_path))
        assert read_wish(tmp_path) == Wish(state="run", slow_s=0.4)
