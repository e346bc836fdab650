"""How the doctor is asked, and how good its advice has been: a tiny run, its command and its scoreboard."""

import json
from dataclasses import replace

import pytest

from engine import run as runs
from engine.__main__ import main
from engine.core.errors import UserError
from engine.core.events import RunFailed
from engine.run.questions.doctor import answers, scoreboard
from engine.run.questions.doctor.doctor import doctor
from tests.run.toy_runs import RECIPE, begun, only_the_toy, work


@pytest.fixture
def unfinished(monkeypatch, tmp_path):
    only_the_toy(monkeypatch, tmp_path)
    monkeypatch.setattr(
        "engine.run.workers.worker.settle_in", lambda: None
    )  # this process has others
    recipe = replace(RECIPE, quantization="nearest", weight_bits=2, quantization_settings={})
    return begun(tmp_path / "runs", recipe)


@pytest.fixture
def folder(unfinished):
    work(unfinished)
    return unfinished


def in_process(recipe, place):
    other = begun(place, recipe)
    work(other)
    return other


def test_the_command_prints_the_contract_and_keeps_its_answer(folder, capsys, monkeypatch):
    words = ["doctor", folder.run_id, "--json", "--runs", str(folder.path.parent)]
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["run"] == folder.run_id
    assert found["findings"]
    contract = {
        "rule", "layer", "cause", "severity", "evidence", "predicted_gain", "band", "unit", "tried",
        "untold", "source",
    }  # fmt: skip
    for one in found["findings"]:
        assert contract <= one.keys()
        assert one["tried"] is None
        assert one["severity"] in ("red", "yellow", "note")
        assert one["band"] is None or one["band"][0] <= one["predicted_gain"] <= one["band"][1]
    monkeypatch.setattr("engine.run.questions.doctor.doctor.doctor", None)  # found once
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out) == found
    assert runs.doctor(folder)["findings"] == found["findings"]
    assert main([word for word in words if word != "--json"]) == 0
    assert found["findings"][0]["cause"] in capsys.readouterr().out


def test_a_change_is_run_and_its_gain_told_beside_the_predicted_one(folder):
    find = lambda: doctor(folder)  # noqa: E731
    found = answers.doctor(folder, "past-cliff", find=find, work=in_process)
    row = found["attempt"]
    other = begun(folder.path.parent, runs.RunFolder(folder.path.parent / row["run"]).recipe)
    gain = folder.result()["logit_kl"] - other.result()["logit_kl"]
    assert row["measured_gain"] == pytest.approx(gain)
    (told,) = [one for one in found["findings"] if one["tried"]]
    assert told["tried"]["run"] == row["run"]
    assert told["tried"]["measured_gain"] == row["measured_gain"]
    assert scoreboard.rows(folder.path.parent)[0]["predicted_gain"] == told["predicted_gain"]
    assert answers.kept_doctor(folder)["findings"] == found["findings"]


def test_what_cannot_be_told_is_refused_in_a_line(unfinished, capsys):
    place = ["--runs", str(unfinished.path.parent)]
    assert main(["doctor", unfinished.run_id, *place]) == 2
    assert "is not finished (it is new)" in capsys.readouterr().err
    work(unfinished)
    assert main(["doctor", unfinished.run_id, "--try", "normalisation", *place]) == 2
    err = capsys.readouterr().err.strip().splitlines()[-1]
    assert "has no finding of rule 'normalisation' with something to try; choose one of " in err


def test_a_run_that_broke_on_values_that_are_no_numbers_says_so(unfinished):
    said = (
        "the quantized network's values are not finite for some images of test: the first layer with such "
        "values is 'down.conv1'; give it more bits"
    )
    unfinished.append(RunFailed(message=said, advice=""))
    (only,) = doctor(unfinished)["findings"]
    assert (only["rule"], only["layer"], only["severity"]) == ("not-finite", "down.conv1", "red")
    json.dumps(doctor(unfinished), allow_nan=False)


def row(measured, *, band=(0.1, 0.3), helped=True, layer="a", rule="few-bits"):
    return {
        "of": "r", "run": "s", "rule": rule, "layer": layer, "change": "c", "predicted_gain": 0.2,
        "band": list(band), "measured_gain": measured, "unit": "KL", "helped": helped,
    }  # fmt: skip


def test_the_scoreboard_counts_what_helped_and_whether_bands_held(tmp_path):
    assert scoreboard.rows(tmp_path) == []
    scoreboard.keep(tmp_path, row(0.2, layer="a"))
    scoreboard.keep(tmp_path, row(0.5, layer="b"))
    scoreboard.keep(tmp_path, row(-0.1, layer="c", helped=False))
    track = scoreboard.track(scoreboard.rows(tmp_path), "few-bits")
    assert (track["tried"], track["helped"], track["banded"], track["held"]) == (3, 2, 3, 1)
    assert not track["failed"]
    scoreboard.keep(tmp_path, row(-0.1, layer="a", helped=False))  # the same change, tried again
    (board,) = scoreboard.board(tmp_path)
    assert (board["tried"], board["helped"], board["failed"]) == (3, 1, True)
    assert "do not count on it" in board["words"]
    assert scoreboard.track(scoreboard.rows(tmp_path), "past-cliff") is None


def test_a_torn_scoreboard_is_an_empty_one(tmp_path):
    (tmp_path / scoreboard.FILE).write_text('{"tried": [{"rule"')
    assert scoreboard.rows(tmp_path) == []
    (tmp_path / scoreboard.FILE).write_text('{"tried": [{"rule": 3}, 4]}')
    assert scoreboard.rows(tmp_path) == []


def test_gains_are_measured_in_the_unit_that_was_predicted():
    before = {
        "logit_kl": 0.5,
        "output_sqnr_db": 9.0,
        "layers": [{"path": "a", "sqnr_local_db": 3.0}],
    }
    after = {
        "logit_kl": 0.1,
        "output_sqnr_db": 15.0,
        "layers": [{"path": "a", "sqnr_local_db": 9.0}],
    }
    assert scoreboard.measured("KL", before, after) == (pytest.approx(0.4), "KL")
    assert scoreboard.measured("dB of the outputs", before, after) == (6.0, "dB of the outputs")
    assert scoreboard.measured("dB of the layer", before, after, "a") == (6.0, "dB of the layer")
    assert scoreboard.measured("", before | {"logit_kl": None}, after)[1] == "dB of the outputs"
    assert scoreboard.measured("top1", before, after) is None


def test_a_change_that_is_at_work_is_told_of_and_measured_once_it_has_ended(folder):
    found = answers.doctor(folder, find=lambda: doctor(folder))
    place = folder.path.parent
    one = answers.chosen(found, "past-cliff")
    waiting = []

    def queue(recipe, place):
        other = begun(place, recipe)
        other.write_status("queued")
        waiting.append(other)
        return other

    row = answers.begin(folder, one, queue)
    tried = answers.chosen(answers.with_tried(found, place), "past-cliff", one["layer"])["tried"]
    assert (tried["run"], tried["measured_gain"]) == (row["run"], None)
    assert scoreboard.rows(place) == []
    work(waiting[0])
    tried = answers.chosen(answers.with_tried(found, place), "past-cliff", one["layer"])["tried"]
    gain = folder.result()["logit_kl"] - waiting[0].result()["logit_kl"]
    assert tried["measured_gain"] == pytest.approx(gain)


def test_a_try_that_broke_is_no_word_against_the_rule(folder):
    found = answers.doctor(folder, find=lambda: doctor(folder))

    def break_down(recipe, place):
        begun(place, recipe).write_status("failed")

    with pytest.raises(UserError, match="is failed, and what it gained cannot be told"):
        answers.doctor(folder, "past-cliff", work=break_down)
    after = answers.kept_doctor(folder)
    assert after["findings"] == found["findings"]
    assert scoreboard.begun(folder.path.parent) == []
