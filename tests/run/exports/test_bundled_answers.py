"""What was asked of a run goes along in its bundle; what a stranger made up of it is refused in one line."""

import copy
import dataclasses
import json
from pathlib import Path

import pytest

from app.charts.why import sensitivities as charted
from engine.core.errors import UserError
from engine.run.exports.export import export
from engine.run.exports.foreign_answers import KNOWN
from engine.run.exports.opening import open_bundle
from engine.run.exports.shapes import costs, layers
from engine.run.questions.costs import sensitivities as minding
from engine.run.questions.costs import storage as storing
from engine.run.questions.costs.resources import resources
from engine.run.questions.costs.sensitivities import sensitivities
from engine.run.questions.costs.storage import storage
from engine.run.questions.doctor import leave_one_out as reaching
from engine.run.questions.doctor.leave_one_out import ranges
from engine.run.questions.why import answers
from engine.run.questions.why.explain import explain
from engine.run.questions.why.fewer_bits.bits import bits
from engine.run.questions.why.predictions import predictions
from engine.run.questions.why.similarity import similarity
from tests.run.exports.forged_answers import FORGED
from tests.run.exports.test_bundles import Forged
from tests.run.toy_runs import RECIPE, begun, only_the_toy, work

ASK = {
    "explain": explain, "predictions": predictions, "bits": bits, "similarity": similarity, "ranges": ranges,
    "resources": resources, "sensitivities": sensitivities, "storage": storage,
}  # fmt: skip


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


def test_every_question_of_a_run_goes_along_and_is_looked_at():
    assert {*answers.COMMANDS} == {*KNOWN} == {*ASK}


def test_what_is_looked_for_is_called_as_the_questions_and_the_pages_call_it():
    assert costs.FORMS == storing.FORMS
    assert layers.MEASURES == minding.MEASURES == (*charted.MEASURES,)
    assert layers.MOST_NAMED == reaching.NAMED


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
    path = folder.result()["layers"][0]["path"]
    answers.answer(folder, "tensors", lambda: {"layer": path}, layer=path)
    (made,) = export(folder, ["bundle"], tmp_path / "a")["files"]
    assert "asked of it as tensors stays here" in made["notes"][-1]
    tables = [Path(one["path"]) for one in export(folder, ["tables"], tmp_path / "t")["files"]]
    (similar,) = [file for file in tables if file.stem == "similarity-layers"]
    assert similar.read_text().splitlines()[0] == "path,raw,chain,matched,drift"
    assert {"explain-layers", "predictions-margins", "bits-layers", f"tensors-{path}"} <= {
        file.stem for file in tables
    }


def test_answers_that_lie_in_a_run_of_ones_own_are_not_read(bundled):
    folder, _, given = bundled
    (folder.path / "answers").mkdir()
    (folder.path / "answers" / "explain.json").write_text('{"run": "another"}')
    assert answers.kept_answer(folder, "explain") == given["explain"]


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
