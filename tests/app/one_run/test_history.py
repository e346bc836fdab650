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


def test_events_of_a_stage_are_found_without_looking_at_those_of_others(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = read_history(fabricate(runs, Fabricated()))
    wanted = [e for e in found.events if e["kind"] == "stepped" and e.get("stage") == "evaluation"]
    looked: list[Any] = []
    has = history._has
    monkeypatch.setattr(history, "_has", lambda *of: looked.append(of) or has(*of))
    assert list(found.of("stepped", stage="evaluation")) == wanted
    assert list(found.backwards("stepped", stage="evaluation")) == wanted[::-1]
    assert list(found.of("stepped", stage="evaluation", part="teacher")) == wanted[:2]
    assert len(looked) == 3 * len(wanted)


def test_a_history_to_which_nothing_was_added_is_the_same(runs: Path) -> None:
    folder = fabricate(runs, Fabricated())
    first = read_history(folder)
    assert read_history(folder) is first
    with folder.events_file.open("ab") as file:
        file.write(b'{"kind": "noted", "message": "more"}\n')
    assert read_history(folder) is not first
