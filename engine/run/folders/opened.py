"""Runs that came in a bundle: they are looked at, and were computed elsewhere. Imports no torch."""

from pathlib import Path

from engine.core.reading import read_object

OPENED = "opened.json"  # in the run's folder: the bundle's name, and which engine made it


def opened_from(run: Path) -> str:
    """The name of the bundle that the run's folder came in; empty for a run of one's own."""
    found = read_object(run / OPENED)
    return "" if found is None else str(found.get("bundle", "a bundle"))[:100]


def opened_words(run: Path) -> str:
    """Where the run came from, in a sentence; empty for a run of one's own."""
    found = read_object(run / OPENED)
    if found is None:
        return ""
    engine = found.get("engine")
    by = f" (made by engine {engine[:40]})" if isinstance(engine, str) else ""
    return (
        f"Opened from the bundle {opened_from(run)}{by}: here to look at, without its network. To compute "
        "with it, delete it under Runs and use its recipe again."
    )
