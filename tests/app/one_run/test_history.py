"""A run's events are read once, however often its page is drawn; another file is another history."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.run_files import history
from app.run_files.history import read_history
from tests.app.fabricate import Fabricated, fabricate


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every line that is parsed."""
    seen: list[bytes] = []
    parse = history._event

    def counted(line: bytes) -> Any:
        seen.append(line)
        return parse(line)

    monkeypatch.setattr(history, "_event", counted)
    return seen


def lines(folder: Any) -> list[bytes]:
    return folder.events_file.read_bytes().splitlines(keepends=True)


def test_only_what_was_added_is_read(runs: Path, read: list[bytes]) -> None:
    folder = fabricate(runs, Fabricated())
    whole = lines(folder)
    folder.events_file.write_bytes(b"".join(whole[:5]) + whole[5][:9])  # the last one torn
    first = read_history(folder)
    assert (len(read), first.offset) == (5, len(b"".join(whole[:5])))
    assert read_history(folder).events == first.events
    assert len(read) == 5
    folder.events_file.write_bytes(b"".join(whole))
    assert read_history(folder).events == [json.loads(line) for line in whole]
    assert len(read) == len(whole)
    assert len(first.events) == 5  # what a page holds does not grow beneath it


@pytest.mark.parametrize("how", ["shorter", "longer", "gone"])
def test_another_file_of_that_name_is_read_from_its_beginning(runs: Path, how: str) -> None:
    folder = fabricate(runs, Fabricated())
    whole = lines(folder)
    assert len(read_history(folder).events) == len(whole)
    other = {
        "shorter": whole[:3],
        "longer": [b'{"kind": "noted", "message": "first"}\n', *whole],
        "gone": [],
    }[how]
    folder.events_file.write_bytes(b"".join(other))
    if how == "gone":
        folder.events_file.unlink()
    assert read_history(folder).events == [json.loads(line) for line in other]
