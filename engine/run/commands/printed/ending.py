"""How a command ends that could not do what was asked: one line, a status, and no traceback."""

import argparse
import contextlib
import os
import re
import shlex
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO, cast

from engine.core.errors import UserError
from engine.run.folders import disk
from engine.run.subprocess_answer import CommandError

DONE, BROKEN, MISTAKE, STOPPED = 0, 1, 2, 130  # exit statuses; 130: Ctrl-C
STDOUT = "standard output"
_ADVISED = re.compile(r"`(python -m engine \w[^`]*)`")


def hinted(text: str, runs: Path | None) -> str:
    """The text, with `--runs DIR` in each command of ours that it advises, where it was given here too."""
    if runs is None:
        return text
    more = f" --runs {shlex.quote(str(runs))}"

    def with_runs(found: re.Match[str]) -> str:
        command = found[1]
        return (
            f"`{command}`" if "--help" in command or "--runs" in command else f"`{command}{more}`"
        )

    return _ADVISED.sub(with_runs, text)


def end(error: BaseException, options: argparse.Namespace) -> int:
    """Tell the error in one line on standard error; returns the exit status."""
    line, status = _line_and_status(error, options)
    line = " ".join(hinted(line, getattr(options, "runs", None)).split())
    line = "".join(char if char.isprintable() else "?" for char in line)
    with contextlib.suppress(OSError, ValueError):  # nobody listens
        print(line, file=sys.stderr, flush=True)
    return status


def _line_and_status(error: BaseException, options: argparse.Namespace) -> tuple[str, int]:
    if _is_stop(error):
        return "stopped by Ctrl-C", STOPPED
    if isinstance(error, UserError):
        return str(error), MISTAKE
    if isinstance(error, CommandError):
        return f"failed: {error.line}", BROKEN
    if isinstance(error, OSError) and error.filename == STDOUT:
        return f"failed: {STDOUT} takes no more: {error.strerror}; send it elsewhere", BROKEN
    if isinstance(error, OSError) and (way_out := disk.way_out(error)):
        if disk.is_of_the_machine(error):
            return f"failed: {disk.reason(error)}; {way_out}", BROKEN
        return f"{disk.reason(error)}; {way_out}", MISTAKE
    what = f"{type(error).__name__}: {error}"
    what = what if len(what) <= 300 else f"{what[:297]}..."
    return f"failed: {what}; the full report is in {_reported(error, options)}", BROKEN


def _is_stop(error: BaseException | None) -> bool:
    """Whether it is Ctrl-C, or an import that Ctrl-C broke off."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


def _reported(error: BaseException, options: argparse.Namespace) -> str:
    """The file where the traceback is kept: in the run's folder, else among the temporary files."""
    text = "".join(traceback.format_exception(error))
    folder = _folder_of(options)
    try:
        if folder is not None:
            with (folder / "command.log").open("a") as log:
                log.write(text)
            return str(folder / "command.log")
        with tempfile.NamedTemporaryFile(
            "w", prefix="quantoscope-", suffix=".log", delete=False
        ) as log:
            log.write(text)
            return log.name
    except OSError as refused:
        return f"no file ({refused.strerror})"


def _folder_of(options: argparse.Namespace) -> Path | None:
    from engine.run.commands.printed.common import runs_folder  # which tells with words from here
    from engine.run.folders.folder import RunFolder

    try:
        return RunFolder.open(runs_folder(options), options.run).path
    except (AttributeError, TypeError, UserError, OSError):
        return None


def open_streams() -> None:
    """Give the program its three streams where they were closed, and let each take any character.

    A file that was opened in place of one of them would else be written by what prints.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", closefd=False))
        getattr(sys, name).reconfigure(errors="backslashreplace")
    sys.stdout = cast(TextIO, _Stdout(sys.stdout))


class _Stdout:
    """Standard output, whose refusals say that they are its own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with _of_stdout():
            return self._stream.write(text)

    def flush(self) -> None:
        with _of_stdout():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def _of_stdout() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        _let_go(sys.stdout)
        raise OSError(error.errno, error.strerror, STDOUT) from error


def close_streams() -> None:
    """Let go of a stream that takes no more: else the interpreter writes to it again at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            _let_go(stream)


def _let_go(stream: TextIO) -> None:
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
