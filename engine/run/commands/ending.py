"""How a command ends that could not do what was asked: one line, a status, and no traceback."""

import argparse
import contextlib
import os
import re
import shlex
import sys
import tempfile
import traceback
from pathlib import Path

from engine.core.errors import UserError
from engine.run import disk
from engine.run.aside import CommandError

DONE, BROKEN, MISTAKE, STOPPED = 0, 1, 2, 130  # exit statuses; 130: Ctrl-C
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
    line, status = _told(error, options)
    line = " ".join(hinted(line, getattr(options, "runs", None)).split())
    line = "".join(char if char.isprintable() else "?" for char in line)
    with contextlib.suppress(OSError, ValueError):  # nobody listens
        print(line, file=sys.stderr, flush=True)
    return status


def _told(error: BaseException, options: argparse.Namespace) -> tuple[str, int]:
    if _is_stop(error):
        return "stopped by Ctrl-C", STOPPED
    if isinstance(error, UserError):
        return str(error), MISTAKE
    if isinstance(error, CommandError):
        return f"failed: {error.line}", BROKEN
    if isinstance(error, OSError) and not error.filename and (refused := _refused()):
        return (
            f"failed: standard output takes no more: {refused.strerror}; send it elsewhere",
            BROKEN,
        )
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
    from engine.run.commands.common import runs_folder  # which tells with words from here
    from engine.run.folder import RunFolder

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


def _refused() -> OSError | None:
    """Why standard output takes no more; None where it does. What it refused is let go of."""
    try:
        sys.stdout.flush()
    except OSError as error:
        close_stdout()
        return error
    return None


def close_stdout() -> None:
    """Let go of standard output that takes no more: else the interpreter writes to it again at its end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
