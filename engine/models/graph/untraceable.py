"""Where a network's forward needs what a trace does not have: the values themselves."""

import sysconfig
import traceback
from pathlib import Path

import torch

import engine

_NOT_THE_USERS = tuple(str(Path(str(module.__file__)).parent) for module in (torch, engine))
_STANDARD = sysconfig.get_path("stdlib")
_MOST = 70  # letters of a line of code


def where(error: Exception) -> str:
    """The line of the network's own Python at which tracing ended; else the error's own words."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.line and _is_the_users(frame.filename)
    ]
    if not frames:
        return str(error).splitlines()[0][:160] if str(error) else type(error).__name__
    last = frames[-1]
    code = " ".join((last.line or "").split())
    code = code if len(code) <= _MOST else f"{code[: _MOST - 1]}…"
    return f"line {last.lineno} of {Path(last.filename).name} needs the values themselves: `{code}`"


def _is_the_users(file: str) -> bool:
    standard = file.startswith(_STANDARD) and "site-packages" not in file
    return not standard and not file.startswith(_NOT_THE_USERS)
