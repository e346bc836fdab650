"""What was asked of a run goes along in its bundle; what a stranger made up of it is refused in one line."""

import copy
import dataclasses
import json
from pathlib import Path

import pytest

from engine.core.errors import UserError
from engine.run.exports.export import export
from engine.run.exports.opening import open_bundle
from engine.run.questions.why import answers
from engine.run.questions.why.explain import explain
from engine.run.questions.why.fewer_bits.bits import bits
from engine.run.questions.why.predictions import predictions
from tests.run.exports.test_bundles import Forged
from tests.run.toy_runs import RECIPE, begun, only_the_toy, work

ASK = {"explain": explain, "predictions": predictions, "bits": bits}
PAGE = "data:text/html;base64,PHNjcmlwdD4="


@pytest.fixture(scope="module")
def bundled(tmp_path_factory):
    """A finished tiny run of which everything was asked, its bundle, and the answers as they were given."""
    place = tmp_path_factory.mktemp("asked")
    with pytest.MonkeyPatch.context() as patch:
        only_the_toy(patch, place)
        recipe = dataclasses.replace(
            RECIPE, quantization="nearest", quantization_settings={}, weight_bits=2
        )
        folder = begun(place / "runs", recipe)
        work(folder)
        for command, ask in ASK.items():
            answers.answer(folder, command, lambda ask=ask: ask(folder))
        export(folder, ["bundle"], place / "out")
    given = {command: answers.kept_answer(folder, command) for command in ASK}
    return folder, place / "out" / f"{folder.run_id}.zsq", given


def test_the_answers_are_there_where_the_bundle_is_opened_and_in_its_own_bundle_again(
    bundled, tmp_path
):
    _, bundle, given = bundled
    assert all(given.values())
    opened = open_bundle(bundle, tmp_path / "runs")
    for command in ASK:
        assert answers.kept_answer(opened, command) == given[command]
        assert answers.answer(opened, command) == given[command], "nothing is computed"
    (made,) = export(opened, ["bundle"], tmp_path / "out")["files"]
    again = open_bundle(Path(made["path"]), tmp_path / "third")
    assert answers.kept_answer(again, "predictions") == given["predictions"]


def test_a_bundle_says_which_answers_stay_behind(bundled, tmp_path):
    folder, _, _ = bundled
    (made,) = export(folder, ["bundle"], tmp_path / "a")["files"]
    assert "stays here" not in " ".join(made["notes"])
    answers.answer(folder, "similarity", lambda: {"layers": [{"path": "a", "cosine": 0.5}]})
    path = folder.result()["layers"][0]["path"]
    answers.answer(folder, "tensors", lambda: {"layer": path}, layer=path)
    (made,) = export(folder, ["bundle"], tmp_path / "a")["files"]
    assert "asked of it as similarity, tensors stays here" in made["notes"][-1]
    tables = [Path(one["path"]) for one in export(folder, ["tables"], tmp_path / "t")["files"]]
    (similar,) = [file for file in tables if file.stem == "similarity-layers"]
    assert similar.read_text().splitlines() == ["path,cosine", "a,0.5"]
    assert {"explain-layers", "predictions-margins", "bits-layers", f"tensors-{path}"} <= {
        file.stem for file in tables
    }


def test_answers_that_lie_in_a_run_of_ones_own_are_not_read(bundled):
    folder, _, given = bundled
    (folder.path / "answers").mkdir()
    (folder.path / "answers" / "explain.json").write_text('{"run": "another"}')
    assert answers.kept_answer(folder, "explain") == given["explain"]


def at(command, *way, value=None, gone=False):
    """An answer in which what lies at the end of the way is another value, or gone."""

    def change(found):
        for step in way[:-1]:
            found = found[next(iter(found)) if step == "first" else step]
        if gone:
            found.pop(way[-1])
        else:
            found[next(iter(found)) if way[-1] == "first" else way[-1]] = value

    return command, change


FORGED = {
    "an answer of nothing": ("explain", lambda found: found.clear()),
    "layers that are a word": at("explain", "layers", value="all"),
    "a layer without its verdict": at("explain", "layers", 0, "verdict", gone=True),
    "a share that is a word": at("explain", "layers", 1, "share", value="<b>"),
    "a share of three parts": at("explain", "layers", 1, "share", "weights", gone=True),
    "a number without end": at("explain", "layers", 0, "sqnr_accumulated_db", value=float("inf")),
    "more than an answer has": at("explain", "onload", value="x"),
    "images that are true": at("explain", "images", value=True),
    "a class below 0": at("predictions", "by_class", 0, "class", value=-7),
    "a band of one end": at("predictions", "agreement_band", value=[0.5]),
    "margins of no bins": at("predictions", "margins", value={"teacher": [], "student": []}),
    "an image of fewer layers": at("predictions", "growth", "usual", "mean", value=[0.5]),
    "an image that is a word": at("predictions", "growth", "images", value={"<b>": []}),
    "a picture from elsewhere": at("predictions", "pictures", value={"0": "https://example.org/a.webp"}),
    "a picture that is a page": at("predictions", "pictures", value={"0": PAGE}),
    "a picture of nothing": at("predictions", "pictures", value={"0": "data:image/webp;base64,AAAA"}),
    "a picture that is half a one": at("predictions", "pictures", value={"0": "data:image/png;base64,A"}),
    "a picture that is not told": at("predictions", "pictures", value={"0": None}),
    "a layer that no table knows": at("bits", "layers", 0, "path", value="other"),
    "tables of fewer widths": at("bits", "tables", "noise", 0, value=[[1.0]]),
    "bits of no width": at("bits", "planned", "weight_bits", "first", value=77),
    "no layer at all": at("bits", "tables", "paths", value=[]),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
def test_an_answer_that_was_made_up_is_refused_in_one_line(bundled, tmp_path, name):
    command, change = FORGED[name]
    found = copy.deepcopy(bundled[2][command])
    change(found)
    forged = Forged(bundled[1])
    forged.files[f"answers/{command}.json"] = json.dumps(found).encode()
    forged.write(tmp_path / "forged.zsq")
    with pytest.raises(UserError) as refused:
        open_bundle(tmp_path / "forged.zsq", tmp_path / "runs")
    said = str(refused.value)
    assert command in said
    assert "forged.zsq" in said
    assert "\n" not in said
    assert not (tmp_path / "runs").exists()


def test_a_file_of_no_question_is_refused(bundled, tmp_path):
    forged = Forged(bundled[1])
    forged.files["answers/doctor.json"] = b"{}"
    forged.write(tmp_path / "forged.zsq")
    with pytest.raises(UserError, match=r"a bundle has no file 'answers/doctor.json'"):
        open_bundle(tmp_path / "forged.zsq", tmp_path / "runs")
