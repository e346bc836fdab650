"""What a page says of a run's age and origin is of the run, not of the files that it came in."""

import json
from pathlib import Path

from app.panels.head.controls import summary
from tests.app.fabricate import Fabricated, fabricate
from tests.app.test_pages import opened


def test_a_recorded_run_has_no_age_for_its_files_are_as_old_as_the_copy(
    runs: Path, tmp_path: Path
) -> None:
    own = fabricate(runs, Fabricated())
    recorded = fabricate(tmp_path / "recorded", Fabricated(seed=1))
    at = opened("compare", runs=f"{own.run_id},{recorded.run_id}")
    words = at.multiselect(key="compare-runs").options
    assert [word.endswith("recorded") for word in words] == [False, True]
    assert words[0].endswith(("ago", "now"))


def test_runs_to_compare_that_are_not_here_are_named(runs: Path) -> None:
    own = fabricate(runs, Fabricated())
    at = opened("compare", runs=f"{own.run_id},gone-1,![x](http://y)")
    assert "Not here: gone-1" in at.warning[0].value
    assert r"!\[x\]" in at.warning[0].value


def test_numbers_of_another_engine_say_so(runs: Path) -> None:
    folder = fabricate(runs, Fabricated())
    assert "version" not in summary(folder)
    file = folder.path / "result.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"engine": "0.0.9+abc"}))
    assert "another version" in summary(folder)
    assert "0.0.9" not in summary(folder)  # which says nothing to whoever reads it
