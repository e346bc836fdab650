"""The report: one file that opens with the network off, and in which no text from outside can act."""

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.report.page import _as_data, render, write_report
from app.report.sections import SECTIONS
from app.report.story import read_story
from engine.core.errors import UserError
from engine.core.percent import percent
from engine.run.exports.export import export
from engine.run.folders.folder import RunFolder
from tests.app.browser import MARKS, browsing, until

RECORDED = next(Path("assets/recorded").iterdir())
EVIL = "</script><script>window.acted=1</script><img src=x onerror='window.acted=1'>"
PROOF = {
    "images": 10, "set": "the test set", "agreement": 0.9, "largest_logit_difference": 0.25,
    "largest_logit": 8.0,
    "latency_ms": {"float": 2.0, "quantized": 3.0, "threads": 1}, "runtime": "ONNX Runtime 1", "ends": [
        {"path": "block", "largest_difference": 0.5, "share_of_largest_value": 0.125}],
    "differing": [
        {"image": 3, "student": {"class": 7, "margin": 0.0123}, "file": {"class": 5, "margin": 0.0456},
         "tie": {"path": "layer1.0.conv2", "values": 2, "distance": 2e-5, "difference": 3e-5,
                 "within_rounding": True}},
        {"image": 4, "student": {"class": 1, "margin": 2.5}, "file": {"class": 0, "margin": 1.5},
         "tie": None}],
}  # fmt: skip


@pytest.fixture
def evil(tmp_path):
    """The recorded run, a layer, a note, its device and a setting of which are named by somebody evil."""
    folder = tmp_path / RECORDED.name
    shutil.copytree(RECORDED, folder)
    for file in ("events.jsonl", "result.json"):
        text = (folder / file).read_text()
        quoted = json.dumps(EVIL)[1:-1]
        for name in ("layer1.0.conv1", "layer1.0.bn1", "Fashion-MNIST test"):
            text = text.replace(f'"{name}"', f'"{quoted}"')
        (folder / file).write_text(text)
    with (folder / "events.jsonl").open("a") as file:
        file.write(json.dumps({"kind": "noted", "time_s": 1, "message": EVIL}) + "\n")
    recipe = json.loads((folder / "recipe.json").read_text())
    recipe["model_settings"]["calibration"] = EVIL
    (folder / "recipe.json").write_text(json.dumps(recipe))
    return folder


def written(folder, tmp_path, *wanted, proof=None):
    file = tmp_path / "report.html"
    if proof:
        (tmp_path / "proof.json").write_text(json.dumps(proof))
    write_report(folder, file, wanted, tmp_path / "proof.json" if proof else None)
    return file.read_text()


def test_the_report_says_what_the_result_says(tmp_path):
    page = written(RECORDED, tmp_path, proof=PROOF)
    result = json.loads((RECORDED / "result.json").read_text())
    for words in (
        *(percent(result[name], 2) for name in ("fp32_top1", "quantized_top1", "agreement")),
        "No data was needed", RECORDED.name, "seed 0", "def read_codes(path)", "--weight-bits 2",
        f"{result['top1_drop']['lost']} images that were right are wrong now", result["layers"][5]["path"],
    ):  # fmt: skip
        assert words in page, words
    assert "90.00\u00a0%" in page
    assert "1.50 times as long as the float file: slower" in page
    assert "2 images get another class than in the app; 1 of them because" in page
    rows = re.findall(r"<tr>(.*?)</tr>", page)
    cells = [re.findall(r"<td>(.*?)</td>", row) for row in rows]
    assert ["3", "7", "0.012", "5", "0.046", "layer1.0.conv2: 2 values, 3e-05 steps apart"] in cells
    assert ["4", "1", "2.5", "0", "1.5", "none found"] in cells
    assert len(page) < 15_000_000
    assert "http-equiv" in page


def test_bits_of_single_layers_are_told_from_the_fewest_to_the_most(tmp_path):
    folder = tmp_path / RECORDED.name
    shutil.copytree(RECORDED, folder)
    recipe = json.loads((folder / "recipe.json").read_text())
    layers = json.loads((folder / "result.json").read_text())["layers"]
    recipe["quantization_settings"]["bits"] = {"weight_bits": {layers[3]["path"]: 5}}
    (folder / "recipe.json").write_text(json.dumps(recipe))
    page = written(folder, tmp_path, "summary")
    assert "brought to W2A4 mixed: 2 to 8 bits for a weight, 4 for an activation" in page


def test_sections_can_be_chosen_and_an_unknown_one_is_refused(tmp_path):
    story = read_story(RECORDED, None)
    page = written(RECORDED, tmp_path, "costs", "summary")
    assert page.index('<section id="costs">') < page.index('<section id="summary">')
    assert '<section id="layers">' not in page
    assert render(story, {}).count("<section") == 0
    assert 'id="proof"' not in written(RECORDED, tmp_path), "nothing is said of what was not proved"
    with pytest.raises(UserError, match="section 'no' is not known; choose of summary"):
        written(RECORDED, tmp_path, "no")


def test_a_run_that_is_not_finished_has_no_report(tmp_path):
    folder = tmp_path / RECORDED.name
    shutil.copytree(RECORDED, folder)
    (folder / "result.json").unlink()
    with pytest.raises(UserError, match="not finished"):
        write_report(folder, tmp_path / "r.html")


def test_no_text_from_outside_is_markup(evil, tmp_path):
    page = written(evil, tmp_path)
    assert "window.acted" in page, "it is there, as text"
    assert "<script>window.acted" not in page
    assert "<img src=x" not in page
    assert page.count("<script") == 3 + sum(s.count("<script") for s in (_plotly(),))


def test_data_cannot_leave_their_element():
    data = str(_as_data({"a": ["</script>", "<!--", "&lt;", float("inf")]}))
    assert not set("<>&") & set(data)
    assert json.loads(data) == {"a": ["</script>", "<!--", "&lt;", None]}


def _plotly():
    from app.report.page import _plotly as script

    return script()


def test_it_imports_neither_streamlit_nor_torch():
    code = "import sys, app.report.page; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"streamlit", "torch"} & {name.split(".")[0] for name in done.stdout.split()}


def test_the_command_line_writes_it(tmp_path):
    (found,) = export(RunFolder(RECORDED), ["report"], tmp_path, ("summary", "film"))["files"]
    assert found["kind"] == "report"
    page = Path(found["path"]).read_text()
    assert [name for name in SECTIONS if f'<section id="{name}">' in page] == ["summary", "film"]
    with pytest.raises(UserError, match="is not known; choose of"):
        export(RunFolder(RECORDED), ["report"], tmp_path, ("nothing",))


DRAWN = """() => [...document.querySelectorAll("[data-figure]")].every(e => e.querySelector(".main-svg"))"""
SHOWN = """() => document.querySelector(".film img").src"""


class TestInABrowser:
    """With the network off."""

    pytestmark = MARKS

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_every_chart_is_drawn_the_film_moves_and_nothing_is_asked_for(self, tmp_path, scheme):
        text = written(RECORDED, tmp_path, proof=PROOF)
        asked = []
        with browsing(offline=True, color_scheme=scheme) as page:
            page.on("request", lambda request: asked.append(request.url))
            page.goto((tmp_path / "report.html").as_uri())
            until(lambda: page.evaluate(DRAWN), "the charts")
            assert page.evaluate("document.querySelectorAll('.main-svg').length") >= text.count(
                "data-figure="
            )
            last = page.evaluate(SHOWN)
            page.locator(".film input").press("Home")
            until(lambda: page.evaluate(SHOWN) != last, "another picture")
            assert page.locator("output").inner_text() == "1"
            colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (colour == "rgb(255, 255, 255)") is (scheme == "light")
            assert page.wrongs == []
        assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []

    def test_names_that_are_scripts_do_not_act(self, evil, tmp_path):
        written(evil, tmp_path)
        with browsing(offline=True) as page:
            page.goto((tmp_path / "report.html").as_uri())
            until(lambda: page.evaluate(DRAWN), "the charts")
            assert page.evaluate("window.acted") is None
            assert page.locator("img:not(.film img)").count() == 0
            assert page.wrongs == []

    def test_charts_and_tables_hand_out_their_numbers(self, evil, tmp_path):
        written(evil, tmp_path, "layers", proof=PROOF)
        with browsing(offline=True) as page:
            page.goto((tmp_path / "report.html").as_uri())
            until(lambda: page.evaluate(DRAWN), "the charts")
            chart, handed = page.locator("[data-figure]").first, []
            page.on("download", lambda one: handed.append(one))
            chart.hover()
            chart.locator(".modebar-btn").click()
            page.locator(".numbers-of").first.click()
            until(lambda: len(handed) == 2, "both files")
            drawn, told = (
                [*csv.DictReader(Path(one.path()).read_text().splitlines())] for one in handed
            )
            assert handed[0].suggested_filename == f"{RECORDED.name}_layers-chart-1.csv"
            assert handed[1].suggested_filename == f"{RECORDED.name}_layers-table-1.csv"
            layers = json.loads((evil / "result.json").read_text())["layers"]
            assert {row["x"] for row in drawn} == {layer["path"] for layer in layers}
            assert EVIL in {row["layer"] for row in told}
            assert len(told) == len(layers)
            assert page.wrongs == []

    def test_it_prints_on_a4(self, tmp_path):
        written(RECORDED, tmp_path)
        with browsing(offline=True) as page:
            page.goto((tmp_path / "report.html").as_uri())
            until(lambda: page.evaluate(DRAWN), "the charts")
            printed = page.pdf(prefer_css_page_size=True)
        assert b"/MediaBox [0 0 594.95996 841.91998]" in printed or b"/MediaBox [0 0 595" in printed
