"""What was asked of a run goes along in its bundle; what a stranger made up of it is refused in one line."""

import copy
import dataclasses
import json
import zipfile
from pathlib import Path

import pytest

from app.charts.why import sensitivities as charted
from engine.core.errors import UserError
from engine.core.outside.answer_files import OF_LAYERS, answer_file
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
from engine.run.questions.why.tensors import tensors
from tests.run.exports.forged_answers import FORGED
from tests.run.exports.test_bundles import Forged
from tests.run.toy_runs import RECIPE, begun, only_the_toy, work

ASK = {
    "explain": explain, "predictions": predictions, "bits": bits, "similarity": similarity, "ranges": ranges,
    "resources": resources, "sensitivities": sensitivities, "storage": storage,
}  # fmt: skip
INSIDE = "down.conv1"  # the layer that is looked into


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
        answers.answer(folder, OF_LAYERS, lambda: tensors(folder, INSIDE), INSIDE)
        export(folder, ["bundle"], place / "out")
    given = {command: answers.kept_answer(folder, command) for command in ASK}
    given[OF_LAYERS] = answers.kept_answer(folder, OF_LAYERS, INSIDE)
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
    assert answers.answer(opened, OF_LAYERS, layer=INSIDE) == given[OF_LAYERS]
    assert answers.kept_answer(opened, OF_LAYERS, "same.conv1") is None, "nobody asked"
    (made,) = export(opened, ["bundle"], tmp_path / "out")["files"]
    again = open_bundle(Path(made["path"]), tmp_path / "third")
    assert answers.kept_answer(again, "predictions") == given["predictions"]
    assert answers.kept_answer(again, OF_LAYERS, INSIDE) == given[OF_LAYERS]


def test_a_bundle_says_what_is_not_in_it_and_all_that_was_asked_can_be_had_as_tables(
    bundled, tmp_path
):
    folder, _, _ = bundled
    answers.answer(folder, "doctor", lambda: {"findings": []})
    (made,) = export(folder, ["bundle"], tmp_path / "a")["files"]
    assert "nor what the doctor found" in made["notes"][0]
    with zipfile.ZipFile(made["path"]) as archive:
        assert not [name for name in archive.namelist() if "doctor" in name]
    tables = [Path(one["path"]) for one in export(folder, ["tables"], tmp_path / "t")["files"]]
    (similar,) = [file for file in tables if file.stem == "similarity-layers"]
    assert similar.read_text().splitlines()[0] == "path,raw,chain,matched,drift"
    assert {"explain-layers", "predictions-margins", "bits-layers", f"tensors-{INSIDE}"} <= {
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
    forged.files[answer_file(command, INSIDE if command == OF_LAYERS else "")] = json.dumps(
        found
    ).encode()
    forged.write(tmp_path / "forged.zsq")
    with pytest.raises(UserError) as refused:
        open_bundle(tmp_path / "forged.zsq", tmp_path / "runs")
    said = str(refused.value)
    assert command in said
    assert "forged.zsq" in said
    assert "\n" not in said
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "file", ["doctor", "tensors", "tensors-0", "tensors-conv1", "bits-0123456789ab"]
)
def test_a_file_of_no_question_is_refused(bundled, tmp_path, file):
    forged = Forged(bundled[1])
    forged.files[f"answers/{file}.json"] = b"{}"
    forged.write(tmp_path / "forged.zsq")
    with pytest.raises(UserError, match=rf"a bundle has no file 'answers/{file}.json'"):
        open_bundle(tmp_path / "forged.zsq", tmp_path / "runs")


def test_a_look_into_a_layer_that_the_run_has_not_is_refused(bundled, tmp_path):
    forged = Forged(bundled[1])
    found = json.dumps(bundled[2][OF_LAYERS] | {"layer": "other"})
    forged.files[answer_file(OF_LAYERS, "other")] = found.encode()
    forged.write(tmp_path / "forged.zsq")
    with pytest.raises(UserError, match="the parts of its answer 'tensors' do not fit"):
        open_bundle(tmp_path / "forged.zsq", tmp_path / "runs")


def test_a_look_into_one_layer_does_not_stand_for_another(bundled, tmp_path):
    forged = Forged(bundled[1])
    true, other = (answer_file(OF_LAYERS, layer) for layer in (INSIDE, "same.conv1"))
    forged.files[other] = forged.files.pop(true)
    forged.write(tmp_path / "forged.zsq")
    with pytest.raises(UserError, match=r"tensors-\w+.json is not of the layer that it tells of"):
        open_bundle(tmp_path / "forged.zsq", tmp_path / "runs")
