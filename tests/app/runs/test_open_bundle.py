"""A bundle opened in the app: a run on every page, its opener's; what is no bundle is refused in a line."""

import shutil
from pathlib import Path

import pytest

from app.access import visitors
from app.panels.runs.open_bundle import open_in_process
from engine.core.errors import UserError
from engine.export.base import Finished
from engine.export.formats.bundle import Bundle
from engine.run.folders.folder import RunFolder
from engine.run.folders.opened import opened_words
from engine.run.folders.owner import owner_of
from tests.app.browser import MARKS, browsing, is_blank, rest, served, until
from tests.app.places import TABS
from tests.app.test_pages import opened, texts
from tests.app.why import (
    bits_found,
    test_costs,
    test_drift,
    test_flips,
    test_inside,
    test_provenance,
    test_ranges,
    test_sensitivities,
)

RECORDED = next(Path("assets/recorded").iterdir())
OPENED = f"{RECORDED.name}_opened"
ANSWERS = {
    "explain": test_provenance.FOUND, "predictions": test_flips.FOUND, "bits": bits_found.FOUND,
    "similarity": test_drift.FOUND, "ranges": test_ranges.FOUND, "resources": test_costs.COSTS,
    "sensitivities": test_sensitivities.FOUND, "storage": test_costs.PACKED,
    "tensors conv1": test_inside.FOUND,
}  # fmt: skip


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A true run's bundle."""
    folder = RunFolder(RECORDED)
    result = folder.result()
    assert result is not None
    of = Finished(
        run=folder.run_id, folder=folder.path, recipe={}, result=result, network=lambda: None,
        answers=ANSWERS,
    )  # fmt: skip
    (written,) = Bundle().write(of, tmp_path_factory.mktemp("bundle"))
    return written.path


@pytest.mark.slow
def test_every_page_says_where_an_opened_run_came_from(bundle: Path, runs: Path) -> None:
    folder = open_in_process(str(bundle))
    assert folder.path == runs / OPENED
    for tab in TABS:
        at = opened(tab, run=folder.run_id)
        assert f"Opened from the bundle {bundle.name}" in texts(at).replace("\\", "")
    assert "4 of 20 images get another answer" in texts(opened("answers", run=folder.run_id))
    at = opened("answers", run=folder.run_id)
    at.session_state["resources-more"] = True
    said = texts(at.run())
    assert "2.5 times as long where it was measured" in said
    assert "measured where the run was computed" in said
    assert "take 160 B, 40.0\u00a0% of the float weights" in said
    at = opened("images", **{"run": folder.run_id, "range-layer": "fc"})
    assert "`fc` hangs on image 3" in texts(at)
    assert not [one.key for one in at.button if str(one.key).startswith("without-")], (
        "no image is here"
    )
    at = opened("layers", run=folder.run_id)
    for question, words in (("similarity", "moved most"), ("sensitivities", "would have done")):
        at.session_state[f"{question}-more"] = True
        assert words in texts(at.run()), question
    for view in test_inside.FOUND["sentences"]:
        at = opened("layers", run=folder.run_id, layer="conv1", inside=view)
        at.session_state["tensors-more"] = True
        assert f"What stands out in {view}" in texts(at.run())
        assert not at.exception
    at = opened("layers", run=folder.run_id, layer="fc")
    assert not [one for one in at.expander if "inside fc" in one.label], "nobody asked of it"
    listed = opened("runs").dataframe[0].value
    assert listed["opened"].tolist() == [bundle.name]
    with pytest.raises(UserError, match=r"already, as .*; delete that first"):
        open_in_process(str(bundle))


def test_the_words_of_a_bundle_are_short_and_no_markup(tmp_path: Path) -> None:
    (tmp_path / "opened.json").write_text(f'{{"bundle": "b.zsq", "engine": "{"x" * 900}"}}')
    assert len(opened_words(tmp_path)) < 300
    assert "b.zsq (made by engine x" in opened_words(tmp_path)
    (tmp_path / "opened.json").write_text('{"bundle": "b.zsq", "engine": ["x"]}')
    assert "made by" not in opened_words(tmp_path)
    (tmp_path / "opened.json").unlink()
    assert opened_words(tmp_path) == ""


@pytest.mark.slow
def test_an_opened_run_is_its_openers(
    bundle: Path, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.panels.runs.open_bundle.own_mark", lambda: "somebody")
    folder = open_in_process(str(bundle))
    assert owner_of(folder.path) == "somebody"
    assert visitors.may_control(folder.path), "the host may all"


def test_a_file_that_is_no_bundle_is_refused_in_a_line(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "no.zsq").write_bytes(b"no")
    with pytest.raises(UserError, match=r"^bundle 'no.zsq' is refused: it is no readable archive"):
        open_in_process(str(tmp_path / "no.zsq"))


class TestInABrowser:
    pytestmark = MARKS

    def test_a_dropped_bundle_opens_on_every_page(self, bundle: Path, tmp_path: Path) -> None:
        runs = tmp_path / "runs"
        runs.mkdir()
        (tmp_path / "no.zsq").write_bytes(b"no")
        with served(runs) as address, browsing() as page:
            page.goto(f"{address}/runs")
            page.get_by_role("button", name="Open a bundle").click()
            page.locator("input[type=file]").set_input_files(tmp_path / "no.zsq")
            page.get_by_text("is refused: it is no readable archive").wait_for()
            page.locator("input[type=file]").set_input_files(bundle)
            page.get_by_text("Opened from the bundle").wait_for()
            assert (runs / OPENED / "result.json").is_file()
            for tab in TABS:
                page.goto(f"{address}/run?run={OPENED}&tab={tab}")
                page.get_by_text("Opened from the bundle").wait_for()
                rest(page)
                assert not is_blank(page)
            until(lambda: not list(runs.glob(".opening*")), "nothing beside the runs")
            assert page.wrongs == []
        shutil.rmtree(runs)
