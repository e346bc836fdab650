"""A network whose forward does not end: what is waited for is said, and nothing waits for ever."""

import subprocess
import time
from pathlib import Path

import pytest

from engine.core.errors import UserError
from engine.core.events import Noted
from engine.core.outside import slow_code
from engine.run.networks.understand import inspect_file
from engine.run.questions import cached_answer
from tests.contracts.nets import TinyResNet
from tests.run.toy_runs import RECIPE, begun, of, only_the_toy, work


class Slow(TinyResNet):
    def forward(self, x):
        time.sleep(0.02)
        return super().forward(x)


def test_a_run_says_that_the_first_pass_is_slow(monkeypatch, tmp_path):
    only_the_toy(monkeypatch, tmp_path, Slow)
    monkeypatch.setattr(slow_code, "SLOW_S", 0.01)
    monkeypatch.setattr(
        "engine.run.pipeline.chosen_method", lambda _context: _stop("seen enough of it")
    )
    folder = begun(tmp_path / "runs", RECIPE)
    assert work(folder).message == "seen enough of it"
    said = [note.message for note in of(folder, Noted)]
    assert said[0].startswith("the first pass of toy, on two images, has not come back")


def _stop(words):
    raise UserError(words)


def test_a_question_of_a_page_ends(monkeypatch, tmp_path):
    def hang(*_command, timeout, **_more):
        raise subprocess.TimeoutExpired("engine", timeout)

    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(
        UserError, match=r"`diagnose` of toy took more than 10 minutes and was ended; "
    ):
        cached_answer.ask(tmp_path, "diagnose", RECIPE, by={})


@pytest.mark.parametrize("name", ["mine.py", "mine.py:make"])
def test_inspect_sends_a_python_file_to_diagnose(name):
    with pytest.raises(UserError, match=r"only checkpoints are inspected; .* diagnose --model"):
        inspect_file(Path(name))
