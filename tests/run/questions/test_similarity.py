"""How far a finished tiny run's weights are from the teacher's and from another run's."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.__main__ import main
from engine.core.errors import UserError
from engine.run.questions.why import similarity as question
from engine.run.questions.why.opened import open_run
from engine.run.questions.why.similarity import similarity
from tests.run.toy_runs import RECIPE, begun, only_the_toy, work


def run_of(folder, bits):
    recipe = replace(RECIPE, quantization="nearest", weight_bits=bits, quantization_settings={})
    found = begun(folder, recipe)
    work(found)
    return found


@pytest.fixture
def runs(monkeypatch, tmp_path):
    """The same network at 2 and at 6 bits."""
    only_the_toy(monkeypatch, tmp_path)
    return run_of(tmp_path / "runs", 2), run_of(tmp_path / "runs", 6)


def test_every_layer_drifts_more_where_bits_are_few(runs, capsys):
    found = []
    for folder in runs:
        assert main(["similarity", folder.run_id, "--json", "--runs", str(folder.path.parent)]) == 0
        found.append(json.loads(capsys.readouterr().out))
    few, many = found
    run = open_run(runs[0], images=1)
    assert [row["path"] for row in few["layers"]] == [*run.plan]
    lossy = [row["path"] for row in few["layers"] if run.plan[row["path"]].weight_bits == 2]
    assert lossy
    for low, high in zip(few["layers"], many["layers"], strict=True):
        ours = run.teacher.get_submodule(low["path"]).weight.flatten().numpy()
        theirs = run.student.get_submodule(low["path"]).weight.flatten().detach().numpy()
        raw = float(ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs))
        assert low["raw"] == pytest.approx(raw, abs=1e-5)
        assert low["drift"] == pytest.approx(1 - low["chain"])
        if low["path"] in lossy:
            assert low["drift"] > high["drift"] > 0
    assert few["other"] is None
    noise = {row["path"]: -row["sqnr_weights_db"] for row in runs[0].result()["layers"]}
    sides = [(row["drift"], noise[row["path"]]) for row in few["layers"]]
    ranks = [np.argsort(np.argsort(side)) for side in zip(*sides, strict=True)]
    assert few["drift_rank"] == pytest.approx(np.corrcoef(*ranks)[0, 1])
    diagonal = np.diag(np.array(few["matrix"]["cosines"], dtype=object))
    assert diagonal.tolist() == [row["chain"] for row in few["layers"]]


def test_a_run_beside_itself_is_the_same(runs):
    found = similarity(runs[0], runs[0])
    for row in found["layers"]:
        assert [row[name] for name in ("raw", "chain", "matched")] == pytest.approx([1, 1, 1])
    assert found["moved_channels"] == 0
    assert found["test"]["same"] == pytest.approx(1)


def test_two_students_are_compared_with_each_other(runs, capsys):
    words = [folder.run_id for folder in runs]
    assert main(["similarity", *words, "--runs", str(runs[0].path.parent)]) == 0
    assert "chain-normalised" in capsys.readouterr().out
    both = similarity(*runs)
    assert both["other"] == runs[1].run_id
    a, b = (open_run(folder, images=1).student for folder in runs)
    for row in both["layers"]:
        ours, theirs = (net.get_submodule(row["path"]).weight.flatten().detach() for net in (a, b))
        wanted = torch.nn.functional.cosine_similarity(ours, theirs, dim=0)
        assert row["raw"] == pytest.approx(float(wanted), abs=1e-5)
    assert min(row["raw"] for row in both["layers"]) < 0.99
    assert both["drift_rank"] is None


def test_networks_without_a_shape_in_common_cannot_be_compared(runs, monkeypatch):
    monkeypatch.setattr(question, "matrix", lambda a, b: [[None] * len(b) for _ in a])
    with pytest.raises(UserError, match="no layer of run"):
        similarity(*runs)
