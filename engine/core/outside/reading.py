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


def is_number(value: object) -> bool:
    """A finite number; True and False are none."""
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and abs(value) < 1e300  # nan and inf are not
    )
