"""Runs as a comparison reads them, each read once for all pages as long as its files stay the same."""

from pathlib import Path

import streamlit as st

from engine.run.folders.folder import RunFolder
from engine.run.questions.compare import STATISTICS, Side, open_side

MOST_KEPT = 16  # runs: those looked at last

Mark = tuple[int, int]


def side_of(folder: RunFolder) -> Side:
    """The run's synthesis as far as it has come; it is for reading alone."""
    files = (folder.events_file, *(folder.snapshot(name) for name in STATISTICS))
    return _side(str(folder.path), tuple(_mark(file) for file in files))


@st.cache_resource(max_entries=MOST_KEPT, show_spinner=False)
def _side(path: str, marks: tuple[Mark, ...]) -> Side:  # noqa: ARG001  (what it is kept by)
    return open_side(RunFolder(Path(path)))


def _mark(file: Path) -> Mark:
    try:
        found = file.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
