"""What the command line shows of a run: its progress line by line, and its result as a table."""

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Iterable, Sequence
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
from engine.run import launch
from engine.run.commands.ending import hinted
from engine.run.folder import RunFolder
from engine.run.tail import follow

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


def duration(seconds: float) -> str:
    """For example "0.4 s", "12 s", "3 min 5 s", "2 h 10 min"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def result_table(result: dict[str, Any]) -> str:
    """A finished run's numbers, one a line, for a person."""
    size = result["size_bytes"]
    rows = [
        ("run", result["run"]),
        ("network", result["model"]),
        ("synthesis", result["synthesis"]),
        ("quantization", result["quantization"]),
        ("bits", f"W{result['weight_bits']}A{result['activation_bits']}, seed {result['seed']}"),
        *_quality(result),
        ("judged on", _judged_on(result)),
        ("size", f"{size['fp32']:,} -> {size['quantized']:,} bytes"),
        *_work(result),
        ("time", ", ".join(_stage_time(result, k, s) for k, s in result["seconds"].items())),
        ("folder", result["folder"]),
    ]
    return table(rows)


def _judged_on(result: dict[str, Any]) -> str:
    name = result.get("test_set")
    return f"{result['test_images']} images" + (f": {name}" if name else "")


def _stage_time(result: dict[str, Any], stage: str, seconds: float) -> str:
    reused = (result.get("reused") or {}).get(stage)
    if reused:
        return f"{stage} reused ({duration(reused['seconds'])} in run {reused['run']})"
    return f"{stage} {duration(seconds)}"


def _work(result: dict[str, Any]) -> list[tuple[str, str]]:
    """What the codes and the products come to in bits; runs of older versions do not say."""
    stored, operations = result.get("stored_bits"), result.get("bit_operations")
    rows = []
    if stored:
        parts = f"codes {stored['codes']:,}, grids {stored['grids']:,}, floats {stored['floats']:,}"
        rows.append(("stored bits", parts))
    if operations:
        words = f"{operations['fp32']:.4g} -> {operations['quantized']:.4g} an image"
        rows.append(("bit operations", words))
    return rows


def _quality(result: dict[str, Any]) -> list[tuple[str, str]]:
    """What is lost: of classes, or of embeddings where the network has no classes."""
    cosine = result.get("embedding_cosine")
    if result.get("psnr_db") is not None:
        worst = f"worst image {result['output_sqnr_least_db']:.2f} dB"
        return [
            ("SQNR of the output", f"{result['output_sqnr_db']:.2f} dB, {worst}"),
            ("PSNR of the output", f"{result['psnr_db']:.2f} dB"),
        ]
    if cosine:
        words = f"mean {cosine['mean']:.4f}, least {cosine['least']:.4f}"
        return [("cosine of the embeddings", words)]
    band = result.get("top1_band") or {}
    kind = result.get("output_kind")
    if kind == "segmentation" or result["agreement"] is None:
        name = "agreement of the pixels" if kind == "segmentation" else "agreement"
        return [(name, _agreement(result)), *_divergence(result)]
    return [
        ("top-1 float", _share(result["fp32_top1"], band.get("fp32"))),
        ("top-1 quantized", _share(result["quantized_top1"], band.get("quantized"))),
        ("agreement", _agreement(result)),
        *_divergence(result),
    ]


def _agreement(result: dict[str, Any]) -> str:
    """With its band; where it says little, that it does."""
    told = _share(
        result["agreement"], result.get("agreement_band"), "not known: nothing was compared"
    )
    if result.get("answers") == 1:
        return f"unclear: the float network gives one class alone ({told} alike)"
    return told


def _divergence(result: dict[str, Any]) -> list[tuple[str, str]]:
    kl, sqnr = result.get("logit_kl"), result.get("output_sqnr_db")
    rows = [] if kl is None else [("KL of the logits", f"{kl:.4g} nats")]
    return rows if sqnr is None else [*rows, ("SQNR of the logits", f"{sqnr:.2f} dB")]


def _share(
    share: float | None,
    band: Sequence[float] | None = None,
    unknown: str = "not known: the images have no labels",
) -> str:
    if share is None:
        return unknown
    between = f" (95 %: {band[0] * 100:.2f} to {band[1] * 100:.2f})" if band else ""
    return f"{share * 100:.2f} %{between}"


def facts_table(facts: dict[str, Any], indent: str = "") -> str:
    """Nested facts as lines of "name: value", for a person."""
    lines = []
    for name, value in facts.items():
        if isinstance(value, dict) and value:
            lines += [f"{indent}{name}:", facts_table(value, indent + "  ")]
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for one in value:
                lines += [f"{indent}{name}:", facts_table(one, indent + "  ")]
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
            lines.append(f"{indent}{name}: {'-' if shown in (None, '', {}) else shown}")
    return "\n".join(lines)


def table(rows: Iterable[Sequence[object]]) -> str:
    """The rows as columns of text, each as wide as its widest cell."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )
