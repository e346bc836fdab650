"""The events of a run: a file of lines, which one process appends to and any number read."""

import os
from collections.abc import Iterator
from pathlib import Path

from engine.core.events import Event, from_json


class EventLog:
    """Whole lines only: what a crash tore is skipped, and so is what another version wrote."""

    def __init__(self, events_file: Path) -> None:
        self.events_file = events_file

    def append(self, event: Event) -> None:
        """Add one line; a torn line left by a crash is closed first, so that only it is lost."""
        data = event.to_json().encode() + b"\n"
        with self.events_file.open("ab") as file:
            if file.tell() and not self._ends_with_newline():
                data = b"\n" + data
            file.write(data)

    def _ends_with_newline(self) -> bool:
        with self.events_file.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"

    def lines(self, offset: int = 0) -> Iterator[tuple[int, bytes]]:
        """(offset behind the line, line) for every whole line from the byte offset on."""
        if not self.events_file.exists():
            return
        with self.events_file.open("rb") as file:
            file.seek(offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                offset += len(line)
                yield offset, line.rstrip(b"\n")

    def events(self, offset: int = 0) -> Iterator[tuple[int, Event]]:
        """(offset behind the event, event), torn and unknown lines left out."""
        for behind, line in self.lines(offset):
            event = from_json(line)
            if event is not None:
                yield behind, event
