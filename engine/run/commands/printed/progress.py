"""A run's progress as the command line shows it, line by line; at its end the result."""

import argparse
import contextlib
import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from engine.core.events import (
    BlockStarted,
    Event,
    Noted,
    RunFailed,
    StageFinished,
    StageStarted,
    StateChanged,
    Stepped,
)
from engine.run.commands.printed.ending import hinted
from engine.run.commands.printed.tables import duration, result_table
from engine.run.folders.folder import RunFolder
from engine.run.folders.tail import follow
from engine.run.workers import launch

LINE_EVERY_S = 2.0  # where the output is a file or a pipe
BAR_EVERY_S = 0.1  # where it is a terminal
BAR_WIDTH = 24


@dataclass
class Progress:
    """Writes a run's events for a person: a live bar on a terminal, else a line now and then."""

    out: TextIO = field(default_factory=lambda: sys.stderr)
    failure: RunFailed | None = None
    folder: RunFolder | None = None  # the run that is shown
    runs: Path | None = None  # --runs, where it was given: hints repeat it
    _total: int = 0
    _written_s: float = -LINE_EVERY_S
    _bar_shown: bool = False
    _reused: bool = False

    def show(self, event: Event) -> None:
        """Take note of an event, and write what a person wants to know of it."""
        match event:
            case StageStarted():
                self._total = event.total_steps
                self._reused = bool(event.reused_from)
                steps = f"{event.total_steps} steps"
                whence = f"reused from run {event.reused_from}, nothing is computed"
                self.line(f"{event.stage}: {whence if self._reused else steps}")
            case BlockStarted() if not self.out.isatty():
                self._step(f"block {event.index + 1}: {event.block}")
            case Stepped() if not self._reused:
                self._stepped(event)
            case StageFinished() if event.reused_from:
                spent = duration(event.values.get("reused_s", 0.0))
                self.line(f"{event.stage}: reused; it took {spent} in run {event.reused_from}")
            case StageFinished():
                self.line(f"{event.stage}: done in {duration(event.seconds)}")
            case StateChanged():
                self.line(f"{event.state}{self._why(event)}")
            case Noted():
                self.line(f"note: {event.message}")
            case RunFailed():
                self.failure = event

    def line(self, text: str) -> None:
        """Write a line of its own, above the bar."""
        self._write(f"{self._clear()}{hinted(text, self.runs)}\n")

    def join(self, status: dict[str, Any]) -> str:
        """Take up a run that may have begun before; returns its state."""
        self._total = status.get("total_steps", 0)
        return str(status["state"])

    def counted(self, done: int, total: int, what: str) -> None:
        """Say how far something without steps has come: how many are done, and what is next."""
        self._step(f"{done}/{total} {what}")

    def _why(self, event: StateChanged) -> str:
        """What a run waits for, and how it goes on."""
        if self.folder is not None and event.state == "paused":
            return f"; go on with `python -m engine resume {self.folder.run_id}`"
        return f", {event.detail}" if event.detail else ""

    def _stepped(self, event: Stepped) -> None:
        share = min(1.0, event.step / self._total) if self._total else 0.0
        text = f"{event.step}/{self._total} {event.part}{_numbers(event)}"
        if self.out.isatty():
            filled = round(share * BAR_WIDTH)
            text = f"[{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {text}"
        self._step(f"{event.stage} {text}")

    def _step(self, text: str) -> None:
        bar = self.out.isatty()
        if time.monotonic() - self._written_s < (BAR_EVERY_S if bar else LINE_EVERY_S):
            return
        self._written_s = time.monotonic()
        if bar:
            self._write(f"{self._clear()}{text[:110]}")
            self._bar_shown = True
        else:
            self.line(text)

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # nobody reads it, and the run goes on
            self.out.write(text)
            self.out.flush()

    def _clear(self) -> str:
        """What removes the bar, if there is one, from the terminal's last line."""
        shown, self._bar_shown = self._bar_shown, False
        return "\r\033[K" if shown else ""


def _numbers(event: Stepped) -> str:
    shown = [f"{name} {value:.4g}" for name, value in event.losses.items()]
    shown += [f"{k} {event.values[k]:.4g}" for k in ("top1", "flipped") if k in event.values]
    if event.values.get("eta_s", 0) >= 1:
        shown.append(f"{duration(event.values['eta_s'])} left")
    return "".join(f" | {part}" for part in shown)


def show_all(folder: RunFolder, progress: Progress, offset: int = 0) -> str:
    """Show a run's events from the byte `offset` on until it ends; returns its last state."""
    for event in follow(folder, offset):
        progress.show(event)
    return str(folder.status()["state"])


def attend(folder: RunFolder, offset: int, options: argparse.Namespace) -> int:
    """Follow a run to its end and print its result; Ctrl-C cancels it. Returns the exit status."""
    progress = Progress(folder=folder, runs=options.runs)
    progress.line(f"run {folder.run_id} in {folder.path}")
    try:
        state = progress.join(folder.status())
        if state in ("paused", "queued"):  # it was so before, and no event will say it
            progress.show(StateChanged(state=state))
        state = show_all(folder, progress, offset)
    except KeyboardInterrupt:
        progress.line("cancelling ..")
        launch.cancel(folder)
        state = "cancelled"
    result = folder.result()
    if result is not None:
        print(json.dumps(result) if options.json else result_table(result))
        return 0
    if state == "cancelled":
        progress.line(f"cancelled; go on with `python -m engine resume {folder.run_id}`")
        return 130
    return _report_failure(folder, progress)


def _report_failure(folder: RunFolder, progress: Progress) -> int:
    if progress.failure is not None:
        told = (
            progress.failure.advice and not progress.failure.mistake
        )  # a mistake's own line says it
        advice = f"; {progress.failure.advice}" if told else ""
        progress.line(f"failed: {progress.failure.message}{advice}")
        return 2 if progress.failure.mistake else 1
    log = folder.path / "worker.log"
    written = log.read_text(errors="replace").split("\n") if log.exists() else []
    last = next((line for line in reversed(written) if line.strip()), "nothing")
    why = folder.status().get("why", "The worker ended without a word.")
    progress.line(
        f"failed: {why} Resume goes on from what it saved; the last line of {log}: {last}"
    )
    return 1
