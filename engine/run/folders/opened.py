"""Runs that came in a bundle: they are looked at, and were computed elsewhere. Imports no torch.

Such a run lies beside the one of its recipe that is computed here, never in its place: its folder has a name
of its own.
"""

from pathlib import Path
from typing import Any

from engine.core.outside.answer_files import answer_file
from engine.core.outside.reading import read_object

OPENED = "opened.json"  # in the run's folder: the bundle's name, and which engine made it
BEHIND = "_opened"  # behind the name that the run has where it was computed


def opened_from(run: Path) -> str:
    """The name of the bundle that the run's folder came in; empty for a run of one's own."""
    found = read_object(run / OPENED)
    return "" if found is None else str(found.get("bundle", "a bundle"))[:100]


def opened_name(run: str) -> str:
    """The name of the folder in which a bundle's run is opened; of one that was opened before, its own."""
    return f"{run.removesuffix(BEHIND)}{BEHIND}"


def computed_as(run: Path) -> str:
    """The run's id where it was computed, which its recipe gives: the folder's name for one's own."""
    return run.name.removesuffix(BEHIND) if opened_from(run) else run.name


def opened_words(run: Path) -> str:
    """Where the run came from, in a sentence; empty for a run of one's own."""
    found = read_object(run / OPENED)
    if found is None:
        return ""
    engine = found.get("engine")
    by = f" (made by engine {engine[:40]})" if isinstance(engine, str) else ""
    return (
        f"Opened from the bundle {opened_from(run)}{by}: here to look at, without its network. To compute "
        "with it, use its recipe again: that run stands beside this one."
    )


def brought_answer(run: Path, question: str, layer: str = "") -> dict[str, Any] | None:
    """What came in the bundle of a question of why; None where it was not asked, or the run is one's own.

    `layer`: of a question that is put about one layer.
    """
    return read_object(run / answer_file(question, layer)) if opened_from(run) else None
