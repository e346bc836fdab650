"""The one loop that runs every step machine: so pausing, cancelling and resuming are written once."""

import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import torch

from engine.core.errors import UserError
from engine.core.events import Event
from engine.core.method import Losses, Machine
from engine.run.folders.control import CHECKPOINT_MARK, Cancelled, Control
from engine.run.folders.damage import quarantined
from engine.run.folders.files import set_aside, write_atomically

CHECKPOINT_EVERY_S = 10.0
CHECKPOINT_SHARE = 0.05  # of the time at most is spent on saving: a large generator is a gigabyte


class Checkpoint:
    """The state of the machine at work, on disk: replaced as a whole, read as data only."""

    def __init__(
        self,
        folder: Path,
        *,
        tell: Callable[[Event], None] = lambda event: None,
        begun: str = "",  # the machine that a fork begins in the middle of: without its state it is none
    ) -> None:
        self._tell, self._begun = tell, begun
        self._path, self._mark = folder / "checkpoint", folder / CHECKPOINT_MARK
        self._saved_at = time.monotonic()
        self._save_took_s = 0.0

    def restore(self, key: str, machine: Machine) -> int:
        """Put the machine back where it was saved under this key; the steps it had taken, else 0."""
        state = self._read()
        if state is None or state["key"] != key:
            if key == self._begun:
                raise UserError(
                    f"the state that this run was forked from ({self._path}) is gone or damaged; delete the "
                    "run, and fork the first one again"
                )
            return 0
        self._begun = ""
        try:
            machine.load_state_dict(state["machine"])
        except (LookupError, ValueError, RuntimeError, TypeError, AttributeError) as error:
            set_aside(self._path)
            raise UserError(
                f"checkpoint {self._path} is of another machine ({error}) and was set aside; resume to begin "
                "this part again; a fork can change weights and rates, not what is optimised: start a new "
                "run for that"
            ) from error
        return int(state["step"])

    def _read(self) -> dict[str, Any] | None:
        """What was saved; a file that cannot be read is set aside, and the machine begins anew."""
        if not self._path.exists():
            return None
        try:
            state = torch.load(self._path, weights_only=True)
            if isinstance(state["key"], str) and int(state["step"]) >= 0 and "machine" in state:
                return dict(state)
        except Exception:  # noqa: BLE001  (whatever a torn file raises)
            pass
        self._mark.unlink(missing_ok=True)
        self._tell(quarantined(self._path))
        return None

    def save(self, key: str, step: int, machine: Machine) -> None:
        start = time.monotonic()
        state: dict[str, Any] = {"key": key, "step": step, "machine": machine.state_dict()}
        fresh = self._path.with_name("checkpoint.new")
        write_atomically(fresh, partial(_save, state))
        # A mark never stands beside a checkpoint of another step: that is how a fork knows what it copies.
        self._mark.unlink(missing_ok=True)
        fresh.replace(self._path)
        write_atomically(self._mark, json.dumps({"key": key, "step": step}).encode())
        self._saved_at = time.monotonic()
        self._save_took_s = self._saved_at - start

    def is_due(self) -> bool:
        wait_s = max(CHECKPOINT_EVERY_S, self._save_took_s / CHECKPOINT_SHARE)
        return time.monotonic() - self._saved_at > wait_s

    def clear(self) -> None:
        """Nothing is at work any more."""
        self._path.unlink(missing_ok=True)
        self._mark.unlink(missing_ok=True)
        self._saved_at = time.monotonic()


class _Told:
    """A file that remembers why it could not be written: torch tells of a wrong position instead."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self._file.flush()


def _save(state: dict[str, Any], file: BinaryIO) -> None:
    """Write the state into the file piece by piece: a large generator is not held twice."""
    told = _Told(file)
    try:
        torch.save(state, told)  # type: ignore[arg-type]  # all that torch asks of a file
    except RuntimeError:
        if told.error is not None:
            raise told.error from None
        raise


def drive(
    machine: Machine, key: str, control: Control, checkpoint: Checkpoint
) -> Iterator[tuple[int, Losses]]:
    """Yield (steps taken, losses) after every step, from the checkpoint on if there is one.

    Raises Cancelled between two steps, after saving; UserError where a loss is no longer a number.
    """
    done = checkpoint.restore(key, machine)
    while done < machine.total_steps:
        try:
            control.wait(before_pause=partial(checkpoint.save, key, done, machine))
        except Cancelled:
            checkpoint.save(key, done, machine)
            raise
        losses = machine.step()
        done += 1
        _refuse_nan(losses, key, done)
        yield done, losses
        if checkpoint.is_due():
            checkpoint.save(key, done, machine)


def _refuse_nan(losses: Losses, key: str, step: int) -> None:
    for name, loss in losses.items():
        if not torch.isfinite(loss):
            raise UserError(
                f"the loss {name!r} of {key} is {float(loss)} at step {step}; "
                "try smaller learning rates, or float32 if it ran in bfloat16"
            )


class Thinned:
    """Lets at most `per_s` reports a second through: the screen needs no more, the disk neither."""

    def __init__(self, per_s: float = 10.0) -> None:
        self._gap_s = 1 / per_s
        self._last = -1e9

    def is_due(self) -> bool:
        now = time.monotonic()
        if now - self._last < self._gap_s:
            return False
        self._last = now
        return True
