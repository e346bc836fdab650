"""The script that kills workers, for three kills: see `python -m tests.kills --count 300`."""

import os

import pytest

from tests import kills


@pytest.mark.slow
@pytest.mark.thorough  # one kill, a cancel and a resume: test_worker_process
@pytest.mark.skipif(os.name == "nt", reason="signals are another matter there")
def test_three_kills_lose_nothing(capsys):
    assert kills.main(["--count", "3", "--seed", "4"]) == 0
    said = capsys.readouterr().out
    assert "3 kills in" in said
    assert "no event was lost" in said


def test_an_event_that_is_missing_and_a_number_that_differs_are_seen(tmp_path):
    from engine.core.events import Noted
    from engine.run.folders.folder import RunFolder

    straight = RunFolder.create(tmp_path / "a", kills.recipe(0, tmp_path))
    broken = RunFolder.create(tmp_path / "b", kills.recipe(0, tmp_path))
    for folder, messages, agreement in ((straight, "xy", 0.5), (broken, "x", 0.25)):
        for message in messages:
            folder.append(Noted(message=message))
        folder.finish({"agreement": agreement, "layers": [], "size_bytes": {}, "seconds": {}})
    differs, missing = kills.compare(straight, broken)
    assert differs == "agreement differs"
    assert missing.startswith("1 events are missing")
