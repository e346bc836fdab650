"""Four measures of a finished tiny run's layers, side by side: ranks, agreement, cost, and the verdict."""

import json

import numpy as np
import pytest
import torch

from engine.__main__ import main
from engine.run.questions.costs import sensitivities as question
from engine.run.questions.costs.sensitivities import MEASURES, WIDTHS, agree, best, sentence
from engine.run.questions.why.opened import open_run
from tests.run.toy_runs import rounded_at

SECONDS = {"fitting": 1.0, "sqnr": 0.1, "output": 0.4, "hessian": 2.0, "kl": 1.0}


@pytest.fixture
def folder(monkeypatch, tmp_path):
    return rounded_at(3, monkeypatch, tmp_path)


def pairs(**rho):
    return [{"a": kind, "b": "kl", "spearman": one, "kendall": one} for kind, one in rho.items()]


@torch.no_grad()
def test_every_layer_has_every_measure_and_each_is_what_it_says(folder, capsys, monkeypatch):
    monkeypatch.setattr(question, "PROBES", 2)
    words = ["sensitivities", folder.run_id, "--runs", str(folder.path.parent)]
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    run = open_run(folder, images=1)
    assert [row["path"] for row in found["layers"]] == [*run.plan]
    assert found["measures"] == [*MEASURES]
    assert len(found["agreement"]) == 6
    for kind in MEASURES:
        assert found["seconds"][kind] > 0
        for width in map(str, WIDTHS):
            values = [row["values"][kind][width] for row in found["layers"]]
            ranks = [row["ranks"][kind][width] for row in found["layers"]]
            assert sum(ranks) == sum(range(1, len(ranks) + 1))
            assert ranks[int(np.argmax(values))] == min(ranks)
    row = found["layers"][-1]
    assert row["values"]["kl"]["2"] > row["values"]["kl"]["8"]
    assert row["trace"] > 0
    _is_a_layer_s_own(found, run)
    assert main(words) == 0
    assert "rank at 4 bits" in capsys.readouterr().out


def _is_a_layer_s_own(found, run):
    """The output measure of the first layer, from its own weights rounded at 3 bits on its own inputs."""
    path = next(iter(run.plan))
    layer = run.teacher.get_submodule(path)
    partial, _ = question._fitted(run)
    x = []
    layer.register_forward_pre_hook(lambda _, args: x.append(args[0]))
    run.teacher(run.images[:32])
    wanted = layer(x[0])
    whole = layer.weight.clone()
    layer.weight.copy_(partial.fitted(path, "weight", 3)(whole))
    given = layer(x[0])
    layer.weight.copy_(whole)
    noise = float((wanted - given).square().sum() / wanted.square().sum())
    row = next(row for row in found["layers"] if row["path"] == path)
    assert row["values"]["output"]["3"] == pytest.approx(noise, rel=1e-4)


def test_agreement_is_that_of_ranks_and_unknown_where_there_are_none():
    up, down = [1.0, 2.0, 30.0, 31.0], [9.0, 8.0, 7.0, 1.0]
    found = agree({"a": {2: up, 4: up}, "b": {2: down, 4: up}}, "a", "b")
    assert found["by_bits"] == {
        "2": {"spearman": -1.0, "kendall": -1.0},
        "4": {"spearman": 1.0, "kendall": 1.0},
    }
    assert found["spearman"] == found["kendall"] == 0
    assert agree({"a": {2: [1.0, 2.0]}, "b": {2: [1.0, 2.0]}}, "a", "b")["spearman"] is None
    assert agree({"a": {2: up}, "b": {2: [5.0] * 4}}, "a", "b")["spearman"] is None


def test_the_best_is_the_cheapest_that_ranks_as_the_answers_do():
    assert best(pairs(sqnr=0.5, output=0.9, hessian=0.95), SECONDS) == "output"
    assert best(pairs(sqnr=0.85, output=0.9, hessian=0.95), SECONDS) == "sqnr"
    assert (
        best(pairs(sqnr=0.5, output=None, hessian=0.95), SECONDS) is None
    )  # dearer than the answers


def test_the_sentence_says_whether_a_cheaper_one_would_have_done():
    def said(agreement, measures=MEASURES):
        found = {"agreement": agreement, "seconds": SECONDS, "measures": measures}
        return sentence(found | {"best": best(agreement, SECONDS)})

    assert "error of the layer's output ranks" in said(pairs(sqnr=0.5, output=0.9, hessian=0.95))
    assert "it would have done" in said(pairs(output=0.9))
    none = said(pairs(sqnr=0.1, output=0.6, hessian=0.5))
    assert "No cheaper measure" in none
    assert "+0.60" in none
    assert "too few layers" in said(pairs(sqnr=None))
    without = [{"a": "sqnr", "b": "output", "spearman": 0.7, "kendall": 0.5}]
    assert "no scores of classes" in said(without, ("sqnr", "output"))
