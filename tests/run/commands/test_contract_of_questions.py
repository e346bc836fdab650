"""What scripts depend on: the keys of what a finished run answers with --json; more may stand beside them."""

import json
from dataclasses import replace

import pytest

from engine.__main__ import main
from engine.run.questions.doctor import answers
from engine.run.questions.doctor.doctor import doctor
from tests.run.doctor.planted import in_file, shuffled_codes
from tests.run.toy_runs import RECIPE, begun, only_the_toy, work

# By question: the keys of the answer, and of what lies in it by path; [] is every entry of a list.
CONTRACT = {
    "explain": {
        "": {"run", "layers", "sentence"},
        "layers[]": {"path", "sqnr_local_db", "sqnr_accumulated_db", "share", "verdict"},
        "layers[].share": {"weights", "activations", "inherited", "interaction"},
    },
    "bits": {
        "": {"run", "layers", "front"},
        "layers[]": {"path", "sqnr_db", "cliff"},
        "layers[].sqnr_db": {"2", "3", "4", "5", "6", "7", "8"},
        "front[]": {"size_bytes", "predicted_kl", "weight_bits", "measured"},
        "front[].measured": {"kl", "agreement"},
    },
    "predictions": {
        "": {"run", "images", "flipped", "agreement", "ece"},
        "flipped[]": {"image", "teacher", "student", "margin_teacher", "margin_student"},
        "ece": {"teacher", "student"},
    },
    "doctor": {
        "": {"run", "findings"},
        "findings[]": {
            "rule", "layer", "cause", "severity", "evidence", "predicted_gain", "band", "unit", "tried",
        },
        "findings[].tried": {"run", "measured_gain"},
    },
}  # fmt: skip
FEW = {
    "quantization": "nearest",
    "weight_bits": 2,
    "activation_bits": 2,
    "quantization_settings": {},
}
UNKNOWN = {"ece"}  # None where there are no labels: the tests of `predictions` have some


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A finished run of a tiny network, of which one change was tried."""
    with pytest.MonkeyPatch.context() as patch:
        place = tmp_path_factory.mktemp("contract")
        only_the_toy(patch, place)
        few = replace(RECIPE, **FEW)
        made = worked(few, place / "runs")
        rule = next(one["rule"] for one in doctor(made)["findings"] if one["change"])
        answers.doctor(made, rule, find=lambda: doctor(made), work=worked)
        for file in made.path.glob("blocks/*.safetensors"):
            in_file(file, shuffled_codes)  # so that some answers change
        yield made


def worked(recipe, runs):
    other = begun(runs, recipe)
    work(other)
    return other


def at(answer, path):
    """All that lies at a path; what is not known (None) is left out."""
    found = [answer]
    for name in filter(None, path.split(".")):
        found = [one[name.removesuffix("[]")] for one in found]
        found = [one for rows in found for one in rows] if name.endswith("[]") else found
        found = [one for one in found if one is not None]
    return found


@pytest.mark.parametrize("question", CONTRACT)
def test_a_finished_run_answers_with_the_keys_of_the_contract(question, folder, capsys):
    assert main([question, folder.run_id, "--json", "--runs", str(folder.path.parent)]) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert answer["run"] == folder.run_id
    for path, keys in CONTRACT[question].items():
        found = at(answer, path)
        assert found or path in UNKNOWN, path
        assert [keys - one.keys() for one in found if keys - one.keys()] == [], path
