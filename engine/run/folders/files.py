"""Files that are written whole, set aside where they are damaged, and swept where their writer died."""

import contextlib
import errno
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from engine.core.errors import UserError
from engine.run.folders import disk
from engine.run.machine.processes import born

_OLD_S = 60.0  # a writer on another machine that shares the folder is not seen, but is long done
_BESIDE = re.compile(r"\.(?P<name>.+)\.(?P<pid>\d+)")  # see `write_atomically`


def write_atomically(path: Path, data: bytes | Callable[[BinaryIO], object]) -> None:
    """Write beside, then replace: a reader sees the old file or the new one, never a part.

    `data` may be a function that writes into the open file: what is large is not held twice then.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            if callable(data):
                data(file)
            else:
                file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def is_disk_full(error: OSError) -> bool:
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def writing_into(runs: Path) -> Iterator[None]:
    """What cannot be written into the folder of runs is told as a UserError of one line."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(runs)
        way = disk.way_out(error) or "give another folder of runs, --runs DIR"
        raise UserError(f"{disk.reason(error)}; {way}") from error


def set_aside(path: Path) -> Path:
    """Rename a file that cannot be read, so that it can be made again and looked into later."""
    aside = path.with_name(f"{path.name}.damaged")
    path.replace(aside)
    return aside


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that lies in it, also while somebody takes files out of it.

    It is renamed first, as a half-written file is (see `write_atomically`): it is gone at once for
    whoever looks, nothing new comes into it, and `sweep` removes what a killed process leaves of it.
    """
    beside = folder.with_name(f".{folder.name}.{os.getpid()}")
    folder.replace(beside)
    shutil.rmtree(beside, onerror=_unless_it_is_gone)


def _unless_it_is_gone(
    _function: object, _path: str, info: tuple[object, BaseException, object]
) -> None:
    error = info[1]
    if not isinstance(error, FileNotFoundError):
        raise error


def sweep(*folders: Path) -> None:
    """Remove what writers that are dead now have left half written in these folders."""
    for folder in folders:
        with contextlib.suppress(OSError):
            for path in list(folder.iterdir()):
                match = _BESIDE.fullmatch(path.name)
                old = time.time() - path.lstat().st_mtime > _OLD_S
                if match and old and born(int(match["pid"])) is None:
                    _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
