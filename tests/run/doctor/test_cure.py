"""Do it all: what helped is kept and built upon, what did not is left, and it ends when nothing helps."""

import json
from dataclasses import replace

import pytest

from engine.__main__ import main
from engine.analysis.doctor.finding import Change, Finding
from engine.core.errors import UserError
from engine.run.folders.folder import RunFolder
from engine.run.folders.owner import claim, owner_of
from engine.run.questions.doctor import answers, scoreboard
from engine.run.questions.doctor.cure import kept as record
from engine.run.questions.doctor.cure import process
from engine.run.questions.doctor.cure.cure import (
    ALL_WELL,
    IN_VAIN,
    MOST_IN_VAIN,
    MOST_RUNS,
    STOPPED,
    cure,
)
from engine.run.questions.doctor.doctor import doctor
from tests.run.toy_runs import RECIPE, begun, only_the_toy, work

# What these do to a network that was never trained is chance, but the same chance each time.
GOOD = Change(words="give same.conv1 2 bits", weight_bits={"same.conv1": 2})
BAD = Change(words="give down.conv1 8 bits", weight_bits={"down.conv1": 8})


@pytest.fixture
def folder(monkeypatch, tmp_path):
    only_the_toy(monkeypatch, tmp_path)
    monkeypatch.setattr("engine.run.workers.worker.settle_in", lambda: None)
    recipe = replace(RECIPE, quantization="nearest", quantization_settings={})
    folder = begun(tmp_path / "runs", recipe)
    work(folder)
    return folder


def in_process(recipe, place):
    other = begun(place, recipe)
    work(other)
    return other


def found(change, **more):
    return Finding(cause="c", severity="red", evidence={}, change=change, rule="few-bits", unit="KL",
                   **more).plain()  # fmt: skip


def saying(*findings):
    """A doctor who always says the same."""
    return lambda run: answers.with_tried(
        {"run": run.run_id, "findings": list(findings)}, run.path.parent
    )


def kl(folder, run):
    return RunFolder(folder.path.parent / run).result()["logit_kl"]


def test_what_helped_is_kept_and_what_did_not_is_left(folder):
    cured = cure(folder, ask=saying(found(BAD), found(GOOD)), work=in_process)
    worse, better, again = cured["steps"]
    assert [one["change"] for one in cured["steps"]] == [BAD.words, GOOD.words, BAD.words]
    assert [one["helped"] for one in cured["steps"]][:2] == [False, True]
    assert worse["from"] == better["from"] == folder.run_id
    assert again["from"] == better["run"]
    assert cured["run"] == (again if again["helped"] else better)["run"]
    for one in cured["steps"]:
        gain = kl(folder, one["from"]) - kl(folder, one["run"])
        assert one["measured_gain"] == pytest.approx(gain)
        assert one["helped"] is (gain > scoreboard.HELPS * kl(folder, one["from"]))
    bits = RunFolder(folder.path.parent / better["run"]).recipe.quantization_settings["bits"]
    assert bits["weight_bits"] == {"same.conv1": 2}  # what did not help is gone again
    gained = sum(one["measured_gain"] for one in cured["steps"] if one["helped"])
    assert cured["before"]["kl"] - cured["after"]["kl"] == pytest.approx(gained)
    assert {row["run"] for row in scoreboard.rows(folder.path.parent)} == {
        one["run"] for one in cured["steps"]
    }


def test_notes_and_what_changes_nothing_are_not_tried(folder):
    nothing = Change(words="again", quantization_settings={})
    cured = cure(
        folder,
        ask=saying(found(GOOD) | {"severity": "note"}, found(nothing), found(None)),
        work=in_process,
    )
    assert (cured["steps"], cured["run"], cured["ended"]) == ([], folder.run_id, ALL_WELL)
    assert record.kept_cure(folder)["ended"] == ALL_WELL


def test_it_gives_up_after_some_that_did_not_help(folder):
    layers = [one["path"] for one in folder.result()["layers"]][: MOST_IN_VAIN + 1]
    worse = [found(Change(words=path, weight_bits={path: 2})) for path in layers]
    assert len(worse) > MOST_IN_VAIN
    cured = cure(folder, ask=saying(*worse), work=lambda recipe, runs: begun(runs, recipe))
    assert len(cured["steps"]) == MOST_IN_VAIN < MOST_RUNS
    assert cured["ended"] == IN_VAIN
    assert all(one["measured_gain"] is None for one in cured["steps"])  # they have no result


def test_what_was_stopped_goes_on_and_computes_nothing_twice(folder):
    worked = []

    def stop_at_the_second(recipe, place):
        if worked and RunFolder(place / recipe.run_id).result() is None:
            raise KeyboardInterrupt
        worked.append(recipe.run_id)
        return in_process(recipe, place)

    ask = saying(found(BAD), found(GOOD))
    with pytest.raises(KeyboardInterrupt):
        cure(folder, ask=ask, work=stop_at_the_second)
    kept = record.kept_cure(folder)
    assert kept["ended"] == STOPPED
    assert [one["helped"] for one in kept["steps"]] == [False, None]
    done, computed = worked[:], []

    def go_on(recipe, place):
        if RunFolder(place / recipe.run_id).result() is None:
            computed.append(recipe.run_id)
        return in_process(recipe, place)

    cured = cure(folder, ask=ask, work=go_on)
    assert [one["helped"] for one in cured["steps"]][:2] == [False, True]
    assert not set(done) & set(computed)


def test_whoever_looks_on_sees_what_is_tried(folder):
    seen = []

    def look(kept):
        assert record.kept_cure(folder) == kept
        last = kept["steps"][-1]["helped"] if kept["steps"] else "none"
        seen.append((kept["doing"], last))

    cure(folder, ask=saying(found(GOOD)), work=in_process, tell=look)
    assert seen[:3] == [("looks", "none"), ("tries", None), ("looks", True)]


def test_two_at_once_are_refused_in_a_line(folder):
    def ask(run):
        with pytest.raises(UserError, match="are being tried already"):
            cure(folder, ask=saying(), work=in_process)
        assert process.is_at_work(folder)
        with pytest.raises(UserError, match="begun on the command line"):
            process.stop(folder)
        return {"run": run.run_id, "findings": []}

    assert cure(folder, ask=ask, work=in_process)["ended"] == ALL_WELL


def test_runs_of_a_visitor_s_cure_are_the_visitor_s(folder):
    claim(record.place_of(folder), "somebody", made=record.FILE)
    cured = cure(folder, ask=saying(found(GOOD)), work=in_process)
    assert owner_of(folder.path.parent / cured["run"]) == "somebody"


def test_a_run_made_again_has_no_cure(folder):
    cure(folder, ask=saying(), work=in_process)
    (folder.path / "result.json").write_bytes((folder.path / "result.json").read_bytes())
    assert record.kept_cure(folder) is None


def test_the_command_tries_all_and_tells_it(folder, capsys, monkeypatch):
    ask = answers.doctor
    monkeypatch.setattr(answers, "doctor", lambda run, *_, **__: ask(run, find=lambda: doctor(run)))
    monkeypatch.setattr("engine.run.workers.launch.start", in_process)
    words = ["doctor", folder.run_id, "--try", "all", "--runs", str(folder.path.parent)]
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert told["findings"]
    cured = told["cure"]
    assert cured["steps"]
    assert cured["ended"]
    assert kl(folder, cured["run"]) <= kl(folder, folder.run_id)
    helped = [one["run"] for one in cured["steps"] if one["helped"]]
    assert cured["run"] == ([folder.run_id, *helped])[-1]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert cured["ended"] in said
    assert cured["steps"][0]["change"] in said
