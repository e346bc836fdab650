"""The head of a run: which tab is open, what to compare with, what to take away; a layer in the address."""

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.testing.v1 import AppTest

from app.links.state import layer_among
from app.panels.head.compare_with import nearest_relatives
from app.panels.head.tab_choice import at_rest, at_work
from app.panels.take_away.dialog import FORMATS
from app.panels.take_away.making import packed, proof_words
from app.run_files.history import read_history
from engine.core.errors import UserError
from engine.export.formats.tables import Tables
from engine.run.folders.folder import RunFolder
from tests.app.fabricate import Fabricated, fabricate, result
from tests.app.test_pages import opened, texts

LAYERS = ["conv1", "layer1.0.conv1", "layer1.0.conv2", "layer2.0.conv1", "fc"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("layer1.0.conv2", "layer1.0.conv2"),
        ("layer1.0.bn2", "layer1.0.conv2"),
        ("layer2.0.bn1", "layer2.0.conv1"),
        ("2", "layer1.0.conv2"),  # an older address
        ("99", ""),
        ("elsewhere.x", ""),
        ("bn1", "conv1"),
        ("", ""),
    ],
)
def test_a_layer_of_another_tab_leads_to_the_one_that_it_belongs_to(
    wanted: str, found: str
) -> None:
    assert layer_among(LAYERS, wanted) == found


def drawn(run: str, **params: str) -> str:
    """The tab that the page draws."""
    said = texts(opened("run", run=run, **params))
    (tab,) = [
        name
        for name, words in (
            ("images", "What do the images look like?"),
            ("layers", "Where does the error enter?"),
            ("answers", "What is lost, what is saved?"),
        )
        if words in said
    ]
    return tab


def test_a_run_opens_where_its_point_is_and_an_address_decides(runs: Path) -> None:
    usual = fabricate(runs, Fabricated(quantization="quantoscope")).run_id
    quantizer = fabricate(runs, Fabricated(quantization="nearest")).run_id
    assert drawn(usual) == "answers"
    assert drawn(quantizer) == "layers"
    assert drawn(quantizer, tab="images") == "images"
    assert drawn(quantizer, step="11") == "images"
    assert drawn(usual, tab="nonsense") == "answers"


def test_tabs_follow_the_stage_at_work(runs: Path) -> None:
    folder = fabricate(runs, Fabricated(quantization="quantoscope", state="running"))
    history = read_history(folder)
    starts = [k for k, e in enumerate(history.events) if e["kind"] == "stage-started"]
    seen = [
        at_work(folder.recipe, type(history)(events=history.events[: k + 1], offset=0))
        for k in [0, *starts]
    ]
    assert seen == ["images", "images", "layers", "answers"]
    about = fabricate(runs, Fabricated(quantization="nearest")).recipe
    early = type(history)(events=history.events[: starts[0] + 1], offset=0)
    assert at_work(about, early) == at_rest(about) == "layers"


def test_images_are_judged_once_they_do_not_grow_any_more(runs: Path) -> None:
    """No page is drawn at each of their steps: a sentence about them would be that of an early one."""
    folder = fabricate(runs, Fabricated(state="running"))
    lines = folder.path.joinpath("events.jsonl").read_text().splitlines(keepends=True)
    later = next(k for k, line in enumerate(lines) if '"quantization"' in line)
    for state, told, judged in (
        ("running", lines[:later], False),
        ("paused", lines[:later], True),
        ("running", lines, True),
    ):
        folder.path.joinpath("events.jsonl").write_text("".join(told))
        folder.write_status(state)
        said = texts(opened("run", run=folder.run_id, tab="images"))
        assert ("times nearer" in said) is judged
        assert ("The darker a layer's row" in said) is not judged


def test_without_labels_the_distance_of_the_answers_has_its_unit(runs: Path) -> None:
    folder = fabricate(runs, Fabricated(labels=False))
    told = {one.label: one for one in opened("run", run=folder.run_id, tab="answers").metric}
    assert told["Logit KL"].value.endswith(" nats")
    assert "its teacher's" in told["Logit KL"].help


def test_a_paused_run_is_not_said_to_go_on(runs: Path) -> None:
    folder = fabricate(runs, Fabricated(state="running"))
    assert "It goes on without this page" in texts(opened("run", run=folder.run_id))
    folder.write_status("paused")
    said = texts(opened("run", run=folder.run_id))
    assert "Continue goes on where it stopped" in said
    assert "It goes on without this page" not in said


def test_a_run_that_waits_for_another_does_not_say_that_it_loads(runs: Path) -> None:
    recipe = fabricate(runs, Fabricated()).recipe
    folder = RunFolder.create(runs, replace(recipe, seed=9))
    folder.write_status("queued")
    said = texts(opened("images", run=folder.run_id))
    assert "once the runs before it are done" in said
    assert "within seconds" not in said


def test_what_a_run_came_to_is_pointed_at_from_where_it_is_read(runs: Path) -> None:
    folder = fabricate(runs, Fabricated(state="running"))
    at = opened("run", run=folder.run_id, tab="answers")
    folder.finish(result(folder, Fabricated()))
    folder.write_status("done")
    assert "what it came to stands below" in texts(at.run())
    at.query_params["tab"] = "images"
    assert "stands on the tab Answers" in texts(at.run())


def test_runs_that_differ_in_least_are_offered_first_to_compare_with(runs: Path) -> None:
    mine = fabricate(runs, Fabricated(quantization="quantoscope"))
    fabricate(runs, Fabricated(quantization="nearest", seed=3))
    nearest = fabricate(runs, Fabricated(quantization="nearest"))
    fabricate(runs, Fabricated(quantization="quantoscope", synthesis="noise"))
    (first, words), *rest = nearest_relatives(mine)
    assert (first.run_id, words) == (nearest.run_id, "NEAREST")
    assert [words for _, words in rest][-1] == "NEAREST, seed 3"
    back, _ = nearest_relatives(nearest)[0]
    assert back.run_id == mine.run_id


def content(folder: RunFolder, name: str) -> bytes | None:
    return next(one.make(folder) for one in FORMATS if one.name == name)


def test_what_is_taken_away_is_the_run_s(runs: Path) -> None:
    folder = fabricate(runs, Fabricated(views=True))
    result, layers, recipe = (content(folder, name) for name in ("result", "layers", "recipe"))
    assert result is not None
    assert json.loads(result) == folder.result()
    assert layers is not None
    assert len(layers.decode().splitlines()) == 5
    assert recipe is not None
    assert json.loads(recipe) == json.loads(folder.recipe.to_json())
    assert content(fabricate(runs, Fabricated(state="failed", seed=1)), "result") is None


PROOF = {
    "images": 650, "agreement": 648 / 650, "largest_logit_difference": 0.2282, "largest_logit": 16.38,
    "differing": [{"tie": {"within_rounding": True}}, {"tie": None}],
    "latency_ms": {"float": 20.0, "quantized": 50.0, "threads": 2},
}  # fmt: skip


def test_the_proof_stands_beside_the_file() -> None:
    words = proof_words(PROOF)
    for said in (
        "99.69\N{NO-BREAK SPACE}% of 650 images (2 otherwise, 1 by a tie within float rounding)",
        "differs by at most 0.23 (outputs go up to 16.4)",
        "50.00 ms an image, 2.5 times as long as the float file, on 2 threads",
    ):
        assert said in words
    alike = proof_words(PROOF | {"differing": [], "agreement": 1.0})
    assert "100.00\N{NO-BREAK SPACE}% of 650 images, differs" in alike
    assert "answer" not in proof_words(PROOF | {"agreement": None, "differing": []})


def formats_of(run: str, *names: str) -> AppTest:
    """A page of the run with these formats to take away alone."""

    def page(names: tuple[str, ...]) -> None:
        import streamlit as st

        from app.panels.take_away.dialog import _made_on_demand
        from app.run_files.run_folders import open_run
        from engine.export import light_formats
        from engine.export.base import Expected

        for name in names:
            size = Expected(most=15_000_000)
            _made_on_demand(open_run(st.query_params["run"]), light_formats()[name].card, size)

    at = AppTest.from_function(page, kwargs={"names": names}, default_timeout=60)
    at.query_params["run"] = run
    return at.run()


def test_a_report_is_made_again_once_there_is_a_proof_to_tell_of(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fabricate(runs, Fabricated())

    def answer(*words: str) -> dict[str, Any]:
        kind = next(name for name in ("onnx", "report") if f"--{name}" in words)
        file = Path(words[words.index("--out") + 1]) / f"r.{kind}"
        file.write_text(kind)
        files = [{"kind": kind, "path": str(file), "notes": []}]
        return {"files": files, "proof": PROOF if kind == "onnx" else None}

    monkeypatch.setattr("app.panels.take_away.making.answer_of", answer)

    at = formats_of(folder.run_id, "onnx", "report")
    at.button(key="make-report").click().run()
    assert (folder.run_id, "report", None) in at.session_state["taken-away"]
    at.button(key="make-onnx").click().run()
    assert list(at.session_state["taken-away"]) == [(folder.run_id, "onnx", None)]
    assert at.button(key="make-report"), "it can be made again"


def test_a_file_bears_its_run_s_name_once(tmp_path: Path) -> None:
    for name in ("some_run.html", "report.html"):
        (tmp_path / name).write_text("")
    names = [packed([file], "some_run", "report")["file"] for file in sorted(tmp_path.iterdir())]
    assert names == ["some_run_report.html", "some_run.html"]


def test_a_format_is_made_on_demand_and_handed_over_and_a_refusal_is_a_line(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files of `export` in one; its own line where it refuses."""
    folder = fabricate(runs, Fabricated(views=True))
    asked: list[tuple[str, ...]] = []

    def answer(*words: str) -> dict[str, Any]:
        asked.append(words)
        if "--onnx" in words:
            raise UserError("this run kept no network; start it again")
        out = Path(words[words.index("--out") + 1])
        files = [out / name for name in ("a.csv", "b.csv")]
        for file in files:
            file.write_text(file.name)
        return {
            "files": [{"kind": "tables", "path": str(f), "notes": ["two files"]} for f in files]
        }

    monkeypatch.setattr("app.panels.take_away.making.answer_of", answer)

    at = formats_of(folder.run_id, "tables", "onnx")
    assert not asked  # nothing is made before somebody asks
    told = "At most 15 MB."
    assert [one.value for one in at.caption].count(told) == 2, "of both, before they are made"
    assert Tables.card.use in at.markdown[0].value, "what it is for"
    at.button(key="make-tables").click().run()
    assert not at.exception
    assert [one.value for one in at.caption].count(told) == 1, "the file has a size of its own"
    made = at.session_state["taken-away"][folder.run_id, "tables", None]
    with zipfile.ZipFile(io.BytesIO(made["content"])) as archive:
        assert sorted(archive.namelist()) == ["a.csv", "b.csv"]
    assert any("two files" in one.value for one in at.caption)
    at.button(key="make-onnx").click().run()
    assert "kept no network" in at.warning[0].value
    assert [words[0] for words in asked] == ["export", "export"]


def test_a_title_that_has_changed_since_it_was_drawn_is_no_choice(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A browser tells the menu's choice by its title, which says how the run stood when it was drawn."""
    folder = fabricate(runs, Fabricated())
    at = opened("images", run=folder.run_id)
    menu = at.selectbox(key="picked")
    stale = WidgetState(id=menu.id, string_value="ResNet-20 · W2A4 · starting")
    with monkeypatch.context() as patch:
        patch.setattr(type(menu), "_widget_state", property(lambda _: stale))
        at.run()
    assert at.query_params["run"] == folder.run_id
    assert not at.error
