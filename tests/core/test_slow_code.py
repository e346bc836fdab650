"""A step of the user's code that does not come back is told of, and is not ended."""

import threading
import time

import pytest

from engine.core.outside import slow_code
from engine.core.outside.own_code import load_factory


@pytest.fixture
def heard(monkeypatch):
    monkeypatch.setattr(slow_code, "SLOW_S", 0.02)
    words = []
    with slow_code.reported(words.append):
        yield words


def test_a_slow_step_is_named_once_with_the_way_out(heard):
    with slow_code.said_when_slow("the step", "mend it"):
        time.sleep(0.1)
    assert heard == [
        "the step has not come back for 0.02 s; if it never ends, stop this (Ctrl-C) and mend it."
    ]


def test_a_quick_step_says_nothing(heard):
    with slow_code.said_when_slow("the step", "mend it"):
        pass
    time.sleep(0.05)
    assert not heard


def test_nobody_hears_where_nobody_listens(monkeypatch):
    monkeypatch.setattr(slow_code, "SLOW_S", 0.0)
    monkeypatch.setattr(slow_code.threading, "Timer", None)  # which cannot be started
    with slow_code.reported(print):
        pass
    with slow_code.said_when_slow("the step", "mend it"):
        pass


def test_what_another_thread_waits_for_is_not_heard(heard):
    def step():
        with slow_code.said_when_slow("the step", "mend it"):
            time.sleep(0.1)

    other = threading.Thread(target=step)
    other.start()
    other.join()
    assert heard == []


def test_a_file_that_takes_long_to_execute_is_named(heard, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("import time\ntime.sleep(0.1)\ndef make(): pass\n")
    load_factory(f"{file}:make", "model")
    assert [words.partition(" has")[0] for words in heard] == [
        f"model file {file}, which is executed,"
    ]
