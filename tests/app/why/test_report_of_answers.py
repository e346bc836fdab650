"""What was asked of a run is in its report: origins of errors, changed answers, bits, as chosen."""

import copy
import html
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.report.page import write_report
from app.report.sections import SECTIONS, TITLES
from engine.core.percent import percent
from engine.run.folders.folder import RunFolder
from tests.app.browser import MARKS, browsing, until
from tests.app.fabricate import ALLOCATION, Fabricated, fabricate
from tests.app.test_report import DRAWN, EVIL
from tests.app.why import bits_found, test_flips, test_provenance
from tests.app.why.conftest import Keep, student_kept

ANSWERS = {
    "explain": test_provenance.FOUND, "predictions": test_flips.FOUND, "bits": bits_found.FOUND
}  # fmt: skip
OF = {"provenance": "explain", "flips": "predictions", "bits": "bits"}


@pytest.fixture
def asked(keep: Keep) -> None:
    for command, found in ANSWERS.items():
        keep(command, found)


def report(folder: RunFolder, tmp_path: Path, *wanted: str) -> str:
    file = tmp_path / "report.html"
    write_report(folder.path, file, wanted)
    return file.read_text()


def test_what_was_asked_is_told_and_what_was_not_is_left_out(
    folder: RunFolder, keep: Keep, tmp_path: Path
) -> None:
    before = report(folder, tmp_path)
    assert not [name for name in OF if f'<section id="{name}">' in before]
    for section, command in OF.items():
        keep(command, ANSWERS[command])
        assert f'<section id="{section}">' in report(folder, tmp_path), section


def test_the_sections_say_what_the_answers_say(
    folder: RunFolder, asked: None, tmp_path: Path
) -> None:
    page = html.unescape(report(folder, tmp_path, "provenance", "flips", "bits"))
    for words in (
        "fc, the last layer, errs.", "64 images (Fashion-MNIST test)", "75\u00a0%", "About layer1.0.conv1.",
        "4 of 20 images get another answer",
        "Agreement 80.00\u00a0% (60.00\u00a0% to 90.00\u00a0%, 95\u00a0%)", "Trouser → Pullover",
        "no. 7, is Trouser; margins 0.90 and 0.10", "Image 7 through the layers",
        "leaves what 90\u00a0% of images",
        "4 of 5 layers come under 20 dB", "<td>>8</td>", "<td>layer1.0.shortcut</td>",
    ):  # fmt: skip
        assert words in page, words
    assert page.count(test_flips.PIXEL) == 3, "the changed images that have a picture"
    assert page.count('class="chart"') == 1 + 4 + 1


def test_where_the_bits_went_is_told_of_a_run_that_chose_them(runs: Path, tmp_path: Path) -> None:
    folder = student_kept(fabricate(runs, Fabricated(quantization="mixed")))
    page = html.unescape(report(folder, tmp_path, "allocation"))
    assert f"{percent(ALLOCATION['chosen']['cost'] / ALLOCATION['budget'])} of the budget" in page
    assert page.count('class="chart"') == 2


def test_names_of_classes_that_are_scripts_are_text(
    folder: RunFolder, keep: Keep, tmp_path: Path
) -> None:
    found = copy.deepcopy(test_flips.FOUND)
    found |= {"classes": [EVIL[:24], EVIL, EVIL], "sentence": EVIL, "image_set": EVIL}
    found["pictures"] = {"7": f"x' onerror='{EVIL}"}
    keep("predictions", found)
    page = report(folder, tmp_path, "flips")
    assert "window.acted" in page, "it is there, as text"
    assert "<script>window.acted" not in page
    assert "<img src=x" not in page
    assert "onerror='" not in page


def test_every_section_has_a_name_to_be_chosen_by() -> None:
    assert list(TITLES) == list(SECTIONS)


def test_the_sections_ticked_in_the_app_are_those_of_the_report(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []

    def answer(*words: str) -> dict[str, object]:
        asked.append(words)
        file = Path(words[words.index("--out") + 1]) / "r.html"
        file.write_text("report")
        return {"files": [{"kind": "report", "path": str(file), "notes": []}]}

    monkeypatch.setattr("app.panels.take_away.making.answer_of", answer)

    def page() -> None:
        import streamlit as st

        from app.panels.take_away.dialog import _made_on_demand
        from app.run_files.run_folders import open_run
        from engine.export.formats.report import Report

        _made_on_demand(open_run(st.query_params["run"]), Report.card, None)

    at = AppTest.from_function(page, default_timeout=60)
    at.query_params["run"] = folder.run_id
    at.run()
    at.button(key="make-report").click().run()
    assert "--sections" not in asked[-1], "all of them, as they are told"
    at.pills(key="report-sections").set_value(["summary", "costs"]).run()
    assert at.button(key="make-report"), "what was made is of other sections"
    at.button(key="make-report").click().run()
    assert asked[-1][asked[-1].index("--sections") + 1] == "summary,costs"
    at.pills(key="report-sections").set_value([]).run()
    assert at.button(key="make-report").disabled


class TestInABrowser:
    pytestmark = MARKS

    def test_every_chart_of_the_answers_is_drawn(
        self, folder: RunFolder, asked: None, tmp_path: Path
    ) -> None:
        report(folder, tmp_path, "provenance", "flips", "bits")
        with browsing(offline=True) as page:
            page.goto((tmp_path / "report.html").as_uri())
            until(lambda: page.evaluate(DRAWN), "the charts")
            assert page.locator(".main-svg").count() >= 6
            assert page.locator(".pictures img").count() == 3
            assert not page.evaluate(
                "[...document.querySelectorAll('.main-svg text')].some(e => e.textContent.includes('<b>'))"
            ), "no markup is shown as text"
            page.set_viewport_size({"width": 390, "height": 844})
            wide = "document.documentElement.scrollWidth"
            until(lambda: page.evaluate(wide) <= 390, "a page as narrow as the screen")
            first = page.locator("#provenance td").first
            assert first.bounding_box()["width"] >= 100, "names of layers are not cut into letters"
            assert page.wrongs == []
