"""What a section of a report holds. Texts are plain; the page escapes them."""

from dataclasses import dataclass, field
from typing import Any

from app.charts.style import LiveFigure

Rows = list[list[str]]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An image as a data address, and what stands under it."""

    address: str
    words: str
    more: str = ""


@dataclass(kw_only=True)
class Section:
    """A heading, sentences, large numbers, a film, pictures, charts, and a table, its head first."""

    title: str
    says: list[str] = field(default_factory=list)
    numbers: list[tuple[str, str, str]] = field(default_factory=list)  # label, value, words
    charts: list[LiveFigure] = field(default_factory=list)
    film: list[dict[str, Any]] = field(
        default_factory=list
    )  # step, and the picture as a data address
    pictures: list[Picture] = field(default_factory=list)
    table: Rows = field(default_factory=list)
    code: str = ""


def size(count: float) -> str:
    """Bytes in a unit that leaves few digits."""
    for unit in ("B", "kB", "MB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"
