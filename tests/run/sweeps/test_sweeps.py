"""Sweeps: what a file multiplies to, what a cell's mean and band are, and one small sweep to its end."""

import itertools
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.__main__ import main
from engine.core.errors import UserError
from engine.core.paired import packed
from engine.run import catalog as catalogs
from engine.run.folders.folder import ACTIVE, RunFolder, list_runs
from engine.run.sweeps import process
from engine.run.sweeps.cells import cells_of, may_be_chance
from engine.run.sweeps.plan import make_sweep, planned, read_request, recipes_of
from engine.run.sweeps.work import cost_of
from tests.few_images import few_images
from tests.known_catalog import know_catalog

SMALL = {
    "models": ["vgg-fashion"], "synthesis": ["noise"], "quantization": ["nearest"],
    "bits": [[8, 8]], "images": 8,
}  # fmt: skip


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return catalogs.load(know_catalog(tmp_path_factory.mktemp("runs")))


def finished(plan: list, runs: Path, tops: dict[int, float], n: int = 400) -> None:
    """Give each planned run a result with that top-1, by its seed; the images that are right differ."""
    for one in plan:
        right = np.random.default_rng(one.seed).random(n) < tops[one.seed]
        folder = RunFolder.create(runs, one.recipe)
        folder.finish(
            {"agreement": None, "seconds": {}, "layers": [],
            "quantized_top1": float(right.mean()), "right": packed(right.tolist()), "test_images": n,
            "top1_band": {"quantized": [0.1, 0.9]}, "size_bytes": {"quantized": 7},
        })  # fmt: skip


def test_everything_is_multiplied_and_runs_that_share_images_stand_together(catalog, tmp_path):
    sweep = make_sweep(
        models=["resnet20-fashion", "preact-fashion"], synthesis=["genie", "noise"],
        quantization=["nearest", "gpfq"], bits=[4, [2, 4]], seeds=[0, 1],
    )  # fmt: skip
    plan = planned(sweep, catalog, tmp_path)
    assert sweep.count == len(plan) == len(recipes_of(plan)) == 2 * 2 * 2 * 2 * 2
    images = [(one.cell.model, one.cell.synthesis, one.seed) for one in plan]
    changes = sum(a != b for a, b in itertools.pairwise(images))
    assert changes + 1 == len(set(images))


def test_a_pair_that_cannot_work_has_its_reason_and_the_others_run(catalog, tmp_path):
    sweep = make_sweep(models=["vgg-fashion", "resnet20-fashion"], synthesis=["genie"], bits=[4])
    no, yes = planned(sweep, catalog, tmp_path)
    assert no.recipe is None
    assert "cannot work on 'vgg-fashion'" in no.reason
    assert yes.recipe is not None


def test_settings_go_to_the_methods_that_have_them(catalog, tmp_path):
    sweep = make_sweep(
        synthesis=["genie", "noise"], settings={"synthesis": {"steps": 7}}, quantization=["nearest"]
    )
    genie, noise = planned(sweep, catalog, tmp_path)
    assert genie.recipe.synthesis_settings["steps"] == 7
    assert "steps" not in noise.recipe.synthesis_settings


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"methods": ["x"]}, "no field of a sweep"),
        ({"bits": "4"}, "pairs of weight and activation bits"),
        ({"bits": [[4, 4, 4]]}, "pairs of weight and activation bits"),
        ({"bits": []}, "pairs of weight and activation bits"),
        ({"bits": [[4, True]]}, "pairs of weight and activation bits"),
        ({"seeds": [0.5]}, "whole numbers"),
        ({"seeds": list(range(501))}, "the most is 500"),
        ({"models": [3]}, "list of names"),
        ({"models": []}, "models is empty; give at least one name"),
        ({"synthesis": []}, "synthesis is empty; give at least one name"),
        ({"quantization": ""}, "quantization is empty; give at least one name"),
        ({"models": ["vgg-fashion", " "]}, "list of names"),
        ({"models": 0}, "list of names"),
        ({"seeds": []}, "whole numbers"),
        ({"settings": ["x"]}, "by kind"),
        ({"settings": []}, "by kind"),
        ({"settings": ""}, "by kind"),
        ({"settings": {"image": {}}}, "by kind"),
    ],
)
def test_what_is_no_sweep_is_refused_by_name(asked, said):
    with pytest.raises(UserError, match=said):
        make_sweep(**asked)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"models": ["resnet"]}, "resnet"),
        ({"bits": [[9, 4]]}, "bits"),
        ({"seeds": [-1]}, "seed"),
        ({"preset": "slow"}, "slow"),
        ({"preset": ""}, "preset '' is not known"),
        ({"images": 0}, "images is 0; choose 1 to"),
        ({"images": ""}, "images is ''; choose 1 to"),
        ({"images": False}, "images is False; choose 1 to"),
        ({"images": True}, "images is True; choose 1 to"),
        ({"images": [8]}, r"images is \[8\]; choose 1 to"),
        ({"edge_rule": ""}, "edge rule '' is not known"),
        ({"settings": {"synthesis": {"stepz": 1}}}, "setting of none of genie"),
        ({"synthesis": ["real"], "settings": {"quantization": {"steps": "x"}}}, "steps"),
    ],
)
def test_what_no_run_could_be_made_of_is_refused_before_any(asked, said, catalog, tmp_path):
    with pytest.raises(UserError, match=said):
        planned(make_sweep(**asked), catalog, tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '"x"', "[" * 100_000, "\x00"])
def test_a_file_that_is_none_is_one_line(text, tmp_path, capsys):
    file = tmp_path / "sweep.json"
    file.write_text(text)
    assert main(["sweep", str(file), "--runs", str(tmp_path / "runs")]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.parametrize("name", ["sweep.json", "sweep.toml"])
@pytest.mark.parametrize("text", ["", " \n", "EMPTY", "PRESET"])
def test_a_file_that_asks_for_nothing_says_what_a_sweep_needs(text, name, tmp_path, capsys):
    of_kind = {
        "EMPTY": {"sweep.json": "{}", "sweep.toml": "# nothing yet\n"},
        "PRESET": {"sweep.json": '{"preset": "quick"}', "sweep.toml": 'preset = "quick"\n'},
    }
    (tmp_path / name).write_text(of_kind[text][name] if text in of_kind else text)
    assert main(["sweep", str(tmp_path / name), "--plan", "--runs", str(tmp_path / "runs")]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith(f"{name} names nothing to run; give at least one of models, synthesis")


@pytest.mark.parametrize("images", [None, 8, "8", 8.0])
def test_images_that_run_takes_are_taken(images, catalog, tmp_path):
    (one,) = planned(make_sweep(**SMALL | {"images": images}), catalog, tmp_path)
    assert one.recipe.images == (128 if images is None else 8)


def test_toml_says_the_same_as_json(tmp_path):
    (tmp_path / "a.toml").write_text('models = ["vgg-fashion"]\nbits = [[4, 4], 2]\n')
    (tmp_path / "a.json").write_text('{"models": ["vgg-fashion"], "bits": [[4, 4], 2]}')
    toml, json_ = (make_sweep(**read_request(tmp_path / name)) for name in ("a.toml", "a.json"))
    assert toml == json_


def test_a_cell_is_the_mean_of_its_seeds_with_students_band(catalog, tmp_path):
    plan = planned(make_sweep(**SMALL | {"seeds": [0, 1, 2]}), catalog, tmp_path)
    finished(plan, tmp_path, {0: 0.50, 1: 0.60, 2: 0.55})
    (cell,) = cells_of(plan, tmp_path)
    tops = [RunFolder(tmp_path / run).result()["quantized_top1"] for run in cell["runs"]]
    half = 4.302653 * np.std(tops, ddof=1) / np.sqrt(3)  # t of 2 degrees of freedom at 97.5 %
    assert cell["mean"] == pytest.approx(np.mean(tops))
    assert cell["high"] - cell["mean"] == pytest.approx(half, rel=0.06)
    assert cell["seeds"] == [0, 1, 2]
    assert cell["best"]


def test_a_band_of_few_seeds_does_not_reach_beyond_what_a_share_can_be(catalog, tmp_path):
    plan = planned(make_sweep(**SMALL | {"seeds": [0, 1]}), catalog, tmp_path)
    finished(plan, tmp_path, {0: 0.3, 1: 0.9})
    (cell,) = cells_of(plan, tmp_path)
    assert (cell["low"], cell["high"]) == (0.0, 1.0)


def test_a_cell_of_one_seed_has_the_band_of_its_test_images_and_none_without_a_result(
    catalog, tmp_path
):
    plan = planned(make_sweep(**SMALL | {"bits": [8, 4]}), catalog, tmp_path)
    finished(plan[:1], tmp_path, {0: 0.8})
    done, open_ = cells_of(plan, tmp_path)
    assert (done["low"], done["high"]) == (0.1, 0.9)
    assert open_["mean"] is open_["low"] is open_["like_best"] is None
    assert open_["planned"] == 1


def results(tops: dict[int, Any], n: int = 400) -> dict[int, dict[str, Any]]:
    return {
        seed: {"right": packed([bool(x) for x in right]), "test_images": len(right)}
        for seed, right in tops.items()
    }


def test_a_difference_that_every_seed_and_the_images_show_is_none_of_chance():
    rng = np.random.default_rng(0)
    better = {seed: rng.random(403) < 0.9 for seed in range(3)}
    worse = {seed: right & (rng.random(403) < 0.9) for seed, right in better.items()}
    assert may_be_chance(results(better), results(worse)) is False
    assert may_be_chance(results(better), results(better)) is True


def test_a_difference_that_seeds_contradict_may_be_chance_however_many_images():
    first = {0: np.ones(4000), 1: np.zeros(4000)}
    second = {0: np.zeros(4000), 1: np.ones(4000) * (np.arange(4000) < 3000)}
    assert may_be_chance(results(first), results(second)) is True


def test_without_the_answers_of_the_images_nothing_is_said():
    assert may_be_chance({0: {"right": "ff", "test_images": 8}}, {0: {"test_images": 8}}) is None
    assert (
        may_be_chance(
            {0: {"right": "ff", "test_images": 8}}, {1: {"right": "0f", "test_images": 8}}
        )
        is None
    )


def test_what_is_finished_costs_nothing(catalog, tmp_path):
    plan = planned(make_sweep(**SMALL | {"bits": [8, 4]}), catalog, tmp_path)
    finished(plan[:1], tmp_path, {0: 0.8})
    assert cost_of(recipes_of(plan), tmp_path).runs == 1


def test_the_answer_has_the_keys_of_the_contract(catalog, tmp_path, capsys):
    plan = planned(make_sweep(**SMALL | {"seeds": [0, 1]}), catalog, tmp_path)
    finished(plan, know_catalog(tmp_path / "runs"), {0: 0.8, 1: 0.7})
    (tmp_path / "sweep.json").write_text(json.dumps(SMALL | {"seeds": [0, 1]}))
    asked = ["sweep", str(tmp_path / "sweep.json"), "--runs", str(tmp_path / "runs"), "--json"]
    assert main(asked) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {"runs", "cells"} <= answer.keys()
    assert answer["runs"] == [one.recipe.run_id for one in plan]
    (cell,) = answer["cells"]
    assert cell.keys() >= {
        "model", "synthesis", "quantization", "weight_bits", "activation_bits", "seeds", "mean", "low",
        "high",
    }  # fmt: skip
    assert cell["low"] < cell["mean"] < cell["high"]
    assert cell["mean"] == pytest.approx(0.75, abs=0.05)


@pytest.mark.slow
def test_a_small_sweep_runs_to_its_end_and_is_found_when_it_is_asked_for_again(tmp_path, capsys):
    file = tmp_path / "sweep.json"
    asked_for = {"bits": [[8, 8], [2, 8]], "synthesis": ["noise", "genie"]}
    judged = {"data": str(few_images(tmp_path / "few"))}
    file.write_text(json.dumps(SMALL | asked_for | judged))
    asked = ["sweep", str(file), "--runs", str(tmp_path / "runs"), "--json"]
    assert main(asked) == 0
    said = capsys.readouterr()
    answer = json.loads(said.out.splitlines()[-1])
    assert "left out: synthesis 'genie' cannot work on 'vgg-fashion'" in said.err
    done = [cell for cell in answer["cells"] if cell["mean"] is not None]
    assert len(answer["runs"]) == len(done) == 2
    assert done[0]["mean"] > done[1]["mean"]  # 8 bits and 2, on a network that 2 bits break
    second = RunFolder(tmp_path / "runs" / answer["runs"][1]).result()
    assert second["reused"]["synthesis"]["run"] == answer["runs"][0]
    assert main(asked) == 0
    again = capsys.readouterr()
    assert "all finished already" in again.err
    assert json.loads(again.out.splitlines()[-1])["cells"] == answer["cells"]
    (kept,) = process.kept_sweeps(tmp_path / "runs")
    assert process.request_of(kept) == SMALL | asked_for | judged


@pytest.mark.slow
def test_a_sweep_of_the_command_line_is_listed_while_it_works_and_can_be_stopped(tmp_path):
    file, runs = tmp_path / "mine.json", tmp_path / "runs"
    file.write_text(json.dumps({"models": ["resnet20-fashion"], "preset": "standard"}))
    with subprocess.Popen(
        [sys.executable, "-m", "engine", "sweep", str(file), "--runs", str(runs)]
    ) as working:
        while not process.kept_sweeps(runs) or not process.is_at_work(process.kept_sweeps(runs)[0]):
            assert working.poll() is None
            time.sleep(0.1)
        (kept,) = process.kept_sweeps(runs)
        assert process.begin(process.request_of(kept), runs) == kept  # no second one
        while not list_runs(runs):
            time.sleep(0.1)
        process.stop(kept)
    assert working.returncode == 130
    assert not process.is_at_work(kept)
    assert process.kept_sweeps(runs) == [kept]
    assert list_runs(runs)[0].status()["state"] not in ACTIVE
