"""Who starts a run comes to its page, also where the page that was left is asked for while the run starts."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData
from streamlit.testing.v1 import AppTest

from engine.run.folders.folder import RunFolder
from tests.app.conftest import CATALOG
from tests.app.fabricate import fabricate
from tests.app.new_run.test_branch import CHOSEN, PARTS
from tests.app.new_run.test_new_run import dialog
from tests.app.test_pages import opened


def late(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs that are started from now on; at each, its page asks to be drawn again, as a pulse does."""
    runs_started: list[str] = []

    def start(recipe: Any, runs: Path) -> RunFolder:
        folder = RunFolder.create(runs, recipe)
        ctx = get_script_run_ctx()
        assert ctx is not None
        assert ctx.script_requests is not None
        ctx.script_requests.request_rerun(RerunData(page_script_hash=ctx.page_script_hash))
        runs_started.append(folder.run_id)
        return folder

    monkeypatch.setattr("engine.run.workers.launch.start", start)
    return runs_started


def from_dialog() -> AppTest:
    return dialog("evidence").button(key="new-start").click().run()


def from_a_card() -> AppTest:
    return opened("start").button(key="card-nearest-2").click().run()


@pytest.mark.parametrize("press", [from_dialog, from_a_card])
def test_a_page_that_is_asked_for_meanwhile_does_not_keep_whoever_pressed_start(
    press: Callable[[], AppTest], runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs_started = late(monkeypatch)
    at = press()
    assert not at.exception
    assert [at.query_params["run"]] == runs_started
    assert not [one for one in at.button if one.key == "new-start"]  # the dialog is closed
    assert [one for one in at.button if one.key == "use-recipe"]
    assert len(runs_started) == 1


def test_who_tries_a_run_without_a_part_comes_to_the_page_that_compares_both(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    genie = next(one for one in CATALOG["synthesis"] if one["name"] == "genie")
    catalog = CATALOG | {"synthesis": [genie | {"settings": PARTS}]}
    monkeypatch.setattr("engine.run.catalog.load", lambda runs: catalog)
    monkeypatch.setattr("tests.app.fabricate.SETTINGS", {"synthesis_settings": CHOSEN})
    run = fabricate(runs).run_id
    at = opened("images", run=run)
    runs_started = late(monkeypatch)
    at.button(key="ablate-synthesis-swing-False").click().run()
    (other,) = runs_started
    assert not at.exception
    assert "".join(at.query_params["runs"]) == f"{run},{other}"
    assert at.title[0].value == "Which is better, and is it real?"
    assert at.session_state["run"] == other
    at.query_params.clear()
    at.switch_page("views/evidence.py").run()
    assert "Can I believe it?" in [one.value for one in at.title]  # and can leave it


def test_the_second_press_of_two_does_not_start_what_is_opened_next(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs_started = late(monkeypatch)
    at = opened("evidence")
    at.session_state["pressed-new-start"] = time.monotonic()  # it came when the dialog was gone
    at.button(key="new-run-open").click().run()
    assert at.button(key="new-start").label == "Start"
    assert runs_started == []


def test_who_has_come_to_the_run_can_leave_it(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    late(monkeypatch)
    at = from_dialog()
    at.query_params.clear()
    at.switch_page("views/evidence.py").run()
    assert "Can I believe it?" in [one.value for one in at.title]
