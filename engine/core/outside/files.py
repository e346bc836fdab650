"""Files and folders that a user names: regular ones only, of bounded size, read to their end and no further.

A device never ends, a named pipe waits for ever, and /proc has files that claim no size and have one.
"""

import hashlib
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from engine.core.errors import UserError

MOST_BYTES = 4 * 2**30  # of one file
MOST_ENTRIES = 1_500_000  # of one folder with all below it: ImageNet's 1.43 million files fit
LONGEST_PATH = 4096
# A page asks for the same recipe at every click: what is large and has not changed is not hashed again. What
# was written a moment ago may be written again within the same tick of the clock, so that is.
LARGE_BYTES, SETTLED_S = 16 * 2**20, 2.0
_HASHED: dict[tuple[int, ...], str] = {}
_KEPT = 100
_CHUNK = 2**20
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
# A pipe that nobody writes to is opened at once, a terminal does not become ours.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)


def typed_path(text: str, what: str = "path") -> Path:
    """The path in a text, `~` put in full; UserError for a text that can be no path."""
    plain = text.strip()
    if "\0" in plain or len(plain) > LONGEST_PATH:
        raise UserError(f"{what} {plain[:40]!r} can be no path; give the path of one that exists")
    try:
        os.fsencode(plain)
        return Path(plain).expanduser()
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"{what} {plain!r} can be no path; give the whole path, from / on"
        ) from error


def check_regular(path: Path, what: str = "file", most_bytes: int = MOST_BYTES) -> os.stat_result:
    """What the system says of a regular file; UserError where it is none, or larger than `most_bytes`."""
    try:
        facts = path.stat()
    except (OSError, ValueError) as error:
        raise _unreadable(path, what, error) from error
    return _checked(facts, path, what, most_bytes)


@contextmanager
def open_regular(
    path: Path, what: str = "file", most_bytes: int = MOST_BYTES
) -> Iterator[tuple[BinaryIO, int]]:
    """The opened file and its size in bytes; what was opened is what was checked."""
    check_regular(
        path, what, most_bytes
    )  # first by its name: to open a device may already do something
    try:
        number = os.open(path, _FLAGS | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))
    except OSError as error:
        raise _unreadable(path, what, error) from error
    with os.fdopen(number, "rb") as file:
        yield file, _checked(os.fstat(number), path, what, most_bytes).st_size


def sha256_of(path: Path, what: str = "file", most_bytes: int = MOST_BYTES) -> str:
    """The sha256 of a regular file, in hexadecimal; UserError where it is none, or has no end."""
    with open_regular(path, what, most_bytes) as (file, size):
        facts = os.fstat(file.fileno())
        known = (facts.st_dev, facts.st_ino, size, facts.st_mtime_ns, facts.st_ctime_ns)
        if known in _HASHED:
            return _HASHED[known]
        found = _hash(file, size, f"{what} {path}")
    if size >= LARGE_BYTES and time.time() - facts.st_ctime > SETTLED_S:
        while len(_HASHED) >= _KEPT:
            _HASHED.pop(next(iter(_HASHED)), None)
        _HASHED[known] = found
    return found


def _hash(file: BinaryIO, left: int, named: str) -> str:
    digest = hashlib.sha256()
    try:
        while chunk := file.read(
            min(_CHUNK, left) or 1
        ):  # one byte more would tell of a longer file
            left -= len(chunk)
            if left < 0:
                raise UserError(f"{named} is longer than it says; copy it to a plain file first")
            digest.update(chunk)
    except OSError as error:
        raise UserError(f"{named} cannot be read: {error.strerror}; give another") from error
    return digest.hexdigest()


def walk(folder: Path, most: int = MOST_ENTRIES) -> Iterator[os.DirEntry[str]]:
    """Every entry of a folder and below it, links not followed; UserError beyond `most` of them."""
    waiting, seen = [str(folder)], 0
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    seen += 1
                    if seen > most:
                        raise UserError(
                            f"folder {folder} holds more than {most:,} files; name a folder inside it"
                        )
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    yield entry
        except UserError:
            raise
        except (OSError, ValueError) as error:
            if not seen:
                raise _unreadable(folder, "folder", error) from error


def check_size(folder: Path, most: int = MOST_ENTRIES) -> None:
    """UserError where a folder cannot be read, or holds too much to be looked through."""
    for _ in walk(folder, most):
        pass


def _checked(facts: os.stat_result, path: Path, what: str, most_bytes: int) -> os.stat_result:
    kind = next((name for test, name in _KINDS if test(facts.st_mode)), "no regular file")
    if not stat.S_ISREG(facts.st_mode):
        raise UserError(f"{what} {path} is {kind}; give the path of a regular file")
    if facts.st_size > most_bytes:
        most = f"{most_bytes / 2**30:.3g} GiB" if most_bytes >= 2**30 else f"{most_bytes:,} bytes"
        raise UserError(f"{what} {path} is larger than {most}; give a smaller one")
    return facts


def _unreadable(path: Path, what: str, error: Exception) -> UserError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else "no such path"
    return UserError(f"{what} {path} cannot be read: {reason}; give the path of one that exists")
