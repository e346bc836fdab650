"""What an address says, read so that no text can break a page or a route: a reader for each kind of value."""

import math
import re

from engine.core.errors import UserError
from engine.run.folders.folder import safe_name

MOST = 2**31  # steps, layers, images: what counts more is no count of ours
MOST_BYTES = 2**53  # of a file: the largest that a browser can count to
LONGEST_NAME = 200  # letters of a run or a file: every file system takes so many
_DIGITS = re.compile(r"[0-9]{1,16}")


def count(text: str | None) -> int | None:
    """The whole number in a text, at least 0; None where there is none. "3.0" is 3, as scripts write it."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return int(value) if math.isfinite(value) and 0 <= value < MOST else None


def byte_offset(text: str | None) -> int | None:
    """A place in a file; None where the text is none, 0 where there is no text."""
    if not text:
        return 0
    value = int(text) if _DIGITS.fullmatch(text) else MOST_BYTES
    return value if value < MOST_BYTES else None


def plain_name(text: str) -> str:
    """The name of a run or a file, if it can be one; else UserError."""
    if len(text) > LONGEST_NAME:
        raise UserError(f"{text[:40]!r}… is too long a name; give that of a run or file")
    return safe_name(text)
