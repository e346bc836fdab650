"""Which engine computed something: numbers of another one are not held against each other unsaid."""

import hashlib
from functools import cache
from pathlib import Path

_ENGINE = Path(__file__).parents[2]
VERSION = "0.1.0"  # as in pyproject.toml
_COMPUTE = ("core", "models", "data", "synthesis", "quantization", "analysis", "run/stages")


@cache
def engine_version() -> str:
    """The version, and the first letters of a hash of all files that compute: "0.1.0+3f2a90c1"."""
    digest = hashlib.sha256()
    for room in _COMPUTE:
        for file in sorted((_ENGINE / room).rglob("*.py")):
            digest.update(f"{file.relative_to(_ENGINE)}\0".encode() + file.read_bytes())
    return f"{VERSION}+{digest.hexdigest()[:8]}"
