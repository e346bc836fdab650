"""A run's own name and note: written beside the recipe, part of nothing that is computed."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.core.errors import UserError
from engine.core.reading import read_object
from engine.run.folders.files import write_atomically

FILE = "label.json"
MOST_NAME, MOST_NOTE = 80, 2000  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What a person calls a run, and wrote to it; both may be empty."""

    name: str = ""
    note: str = ""


def read_label(folder: Path) -> Label:
    """The run's label; an empty one where there is none that can be read."""
    found = read_object(folder / FILE) or {}
    name, note = found.get("name", ""), found.get("note", "")
    if not isinstance(name, str) or not isinstance(note, str):
        return Label()
    return Label(name=_line(name)[:MOST_NAME], note=note[:MOST_NOTE])


def write_label(folder: Path, label: Label) -> None:
    """Keep a label beside the run; UserError where it is too long."""
    for what, text, most in (("name", label.name, MOST_NAME), ("note", label.note, MOST_NOTE)):
        if len(text) > most:
            raise UserError(f"the {what} has {len(text):,} characters; give at most {most:,}")
    kept = Label(name=_line(label.name), note=label.note.strip())
    write_atomically(folder / FILE, json.dumps(asdict(kept)).encode())


def _line(text: str) -> str:
    """Without line breaks and what a terminal would obey."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
