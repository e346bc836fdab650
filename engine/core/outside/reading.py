"""One reader for every small JSON file: what is no object, torn, huge or no file at all is absent."""

import json
from pathlib import Path
from typing import Any

MOST_BYTES = 64 * 1024 * 1024  # a result holds one bit for every test image, and stays far below


def read_object(file: Path) -> dict[str, Any] | None:
    """The JSON object in the file; None where there is none that can be read."""
    try:
        if not file.is_file() or file.stat().st_size > MOST_BYTES:
            return None
        found = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


class KeptObject:
    """The JSON object of one file, read again only where the file has changed. It is for reading alone."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._mark: tuple[int, ...] = ()
        self._found: dict[str, Any] | None = None

    def read(self) -> dict[str, Any] | None:
        """As `read_object` has it."""
        try:
            there = self._file.stat()
        except OSError:
            return None
        mark = there.st_ino, there.st_mtime_ns, there.st_size
        if mark != self._mark:
            self._mark, self._found = mark, read_object(self._file)
        return self._found


def is_number(value: object) -> bool:
    """A finite number; True and False are none."""
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and abs(value) < 1e300  # nan and inf are not
    )
