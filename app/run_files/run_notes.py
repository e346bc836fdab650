"""A name and a note that a user gives a run. They lie beside the run and are no part of its recipe."""

import json
from dataclasses import asdict, dataclass

from app.access.visitors import check_control
from engine.core.errors import UserError
from engine.run.folders.files import write_atomically
from engine.run.folders.folder import RunFolder

FILE = "note.json"
LONGEST_NAME, LONGEST_NOTE = 80, 2000
MOST_BYTES = 20_000  # a file larger than that is not of this page


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What the user calls the run, and what they wrote about it."""

    name: str = ""
    text: str = ""


def note_of(folder: RunFolder) -> Note:
    """The run's name and note; empty ones where there are none, or where the file is damaged."""
    try:
        with (folder.path / FILE).open("rb") as file:
            found = json.loads(file.read(MOST_BYTES))
        return Note(name=str(found["name"])[:LONGEST_NAME], text=str(found["text"])[:LONGEST_NOTE])
    except (OSError, ValueError, KeyError, TypeError):
        return Note()


def write_note(folder: RunFolder, note: Note) -> None:
    """Keep them; UserError where the run is somebody else's, or they are too long."""
    check_control(folder.path, "This run")
    if len(note.name) > LONGEST_NAME or len(note.text) > LONGEST_NOTE:
        raise UserError(
            f"The name has {len(note.name)} characters and the note {len(note.text)}; "
            f"give at most {LONGEST_NAME} and {LONGEST_NOTE}"
        )
    name = " ".join(note.name.split())
    kept = asdict(Note(name=name, text=note.text.strip()))
    write_atomically(folder.path / FILE, json.dumps(kept).encode())
