"""A finding: what may go wrong with a network, with its layer, its value and the way out.

Levels: `problem` (the result will be wrong, or there will be none), `warning` (works, but probably worse
than it could), `note` (good to know).
"""

from dataclasses import asdict, dataclass
from typing import Any

LEVELS = ("problem", "warning", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing found; `layer` is the worst concerned, the others are named in `layers`."""

    level: str
    kind: str  # lower-case with hyphens: what scripts ask for
    title: str
    message: str  # what was seen, with its value
    advice: str  # the way out
    layer: str = ""
    layers: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """As words, for JSON."""
        return asdict(self) | {"layers": list(self.layers)}


def and_others(count: int, what: str) -> str:
    if count <= 0:
        return ""
    return f"; so it is with {count} more {what}{'s' if count > 1 else ''}"
