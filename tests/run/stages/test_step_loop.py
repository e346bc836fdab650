"""The one loop: what is cancelled and resumed gives the numbers of what ran straight through."""

import errno
import json
from pathlib import Path

import pytest
import torch

from engine.core.errors import UserError
from engine.core.sampling.randomness import stream
from engine.run import step_loop
from engine.run.folders.control import CHECKPOINT_MARK, Cancelled, Control, Wish, write_wish
from engine.run.step_loop import Checkpoint, Thinned, drive


class Descent:
    """Momentum descent on noisy gradients: wrong at once if any part of its state is not saved."""

    def __init__(self, total_steps=20):
        self.total_steps = total_steps
        self._x = torch.full((3,), 5.0)
        self._speed = torch.zeros(3)
        self._rng = stream(0, "descent")

    def step(self):
        gradient = self._x + torch.randn(3, generator=self._rng)
        self._speed = 0.9 * self._speed - 0.1 * gradient
        self._x = self._x + self._speed
        return {"distance": self._x.square().sum()}

    def state_dict(self):
        return {"x": self._x, "speed": self._speed, "rng": self._rng.get_state()}

    def load_state_dict(self, state):
        self._x, self._speed = state["x"], state["speed"]
        self._rng.set_state(state["rng"])


def losses(folder, until=None, key="descent"):
    found = []
    write_wish(folder, Wish())
    try:
        for done, parts in drive(Descent(), key, Control(folder), Checkpoint(folder)):
            found.append((done, parts["distance"].item()))
            if done == until:
                write_wish(folder, Wish(state="cancel"))
    except Cancelled:
        assert until is not None
    return found


def test_resuming_changes_nothing(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    straight = losses(tmp_path / "a")
    assert [done for done, _ in straight] == list(range(1, 21))
    first = losses(tmp_path / "b", until=7)
    assert first == straight[:7]
    assert first + losses(tmp_path / "b") == straight


def test_the_mark_never_stands_beside_a_checkpoint_of_another_step(tmp_path, monkeypatch):
    """A fork that sees one mark before and behind its copying has copied that step."""
    replace, seen = Path.replace, []

    def looked_at(self, target):
        found = replace(self, target)
        mark = tmp_path / CHECKPOINT_MARK
        if mark.exists():
            state = torch.load(tmp_path / "checkpoint", weights_only=True)
            seen.append((json.loads(mark.read_text())["step"], state["step"]))
        return found

    monkeypatch.setattr(Path, "replace", looked_at)
    for step in (3, 4, 5):
        Checkpoint(tmp_path).save("descent", step, Descent())
    assert set(seen) == {(3, 3), (4, 4), (5, 5)}
    assert {file.name for file in tmp_path.iterdir()} == {"checkpoint", CHECKPOINT_MARK}


def test_a_checkpoint_of_something_else_is_not_taken(tmp_path):
    losses(tmp_path, until=7, key="batch 1")
    assert losses(tmp_path, key="batch 2")[0][0] == 1


def test_a_cleared_checkpoint_begins_again(tmp_path):
    losses(tmp_path, until=7)
    Checkpoint(tmp_path).clear()
    assert losses(tmp_path)[0][0] == 1


@pytest.mark.parametrize("content", [b"no checkpoint", b"", None])
def test_a_broken_checkpoint_is_set_aside_and_the_machine_begins_anew(tmp_path, content):
    file = tmp_path / "checkpoint"
    if content is None:  # one that would run what it holds is never read
        torch.save({"key": "descent", "step": 1, "machine": Descent()}, file)
    else:
        file.write_bytes(content)
    told = []
    write_wish(tmp_path, Wish())
    checkpoint = Checkpoint(tmp_path, tell=told.append)
    steps = [done for done, _ in drive(Descent(), "descent", Control(tmp_path), checkpoint)]
    assert steps == list(range(1, 21))
    assert (tmp_path / "checkpoint.damaged").exists()
    assert "checkpoint.damaged" in told[0].message


@pytest.mark.parametrize("gone", [True, False])
def test_a_fork_without_its_beginning_is_no_run(tmp_path, gone):
    """From step 0 on with other settings it would be another recipe than its name says."""
    if not gone:
        (tmp_path / "checkpoint").write_bytes(b"torn")
    checkpoint = Checkpoint(tmp_path, begun="descent")
    with pytest.raises(UserError, match="fork the first one again"):
        list(drive(Descent(), "descent", Control(tmp_path), checkpoint))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_ends_the_run_with_the_way_out(tmp_path, bad):
    machine = Descent()
    machine.step = lambda: {"image": torch.tensor(bad)}
    with pytest.raises(UserError, match=r"the loss 'image' of x is (nan|inf) at step 1"):
        list(drive(machine, "x", Control(tmp_path), Checkpoint(tmp_path)))


def test_reports_are_thinned(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("engine.run.step_loop.time.monotonic", lambda: now[0])
    thinned, let_through = Thinned(per_s=10), 0
    for _ in range(200):
        let_through += thinned.is_due()
        now[0] += 0.01
    assert let_through == pytest.approx(20, abs=2)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EFBIG])
def test_a_checkpoint_that_cannot_be_written_says_why_and_leaves_the_old_one(
    tmp_path, monkeypatch, code
):
    """torch itself would tell of an unexpected position."""
    Checkpoint(tmp_path).save("descent", 1, Descent())

    class Full:
        def __init__(self, file):
            self.file = file

        def write(self, data):
            raise OSError(code, "No space left on device", "checkpoint")

        def flush(self):
            pass

    save = step_loop._save
    monkeypatch.setattr(step_loop, "_save", lambda state, file: save(state, Full(file)))
    with pytest.raises(OSError, match="No space") as told:
        Checkpoint(tmp_path).save("descent", 2, Descent())
    assert told.value.errno == code
    assert torch.load(tmp_path / "checkpoint", weights_only=True)["step"] == 1
    assert {file.name for file in tmp_path.iterdir()} == {"checkpoint", CHECKPOINT_MARK}
