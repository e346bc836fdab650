"""Which answers a finished tiny run has changed."""

import json
from dataclasses import replace

import pytest
import torch

from engine.__main__ import main
from engine.core.errors import UserError
from engine.run.questions.why import predictions as question
from engine.run.questions.why.opened import open_run
from tests.run.toy_runs import RECIPE, begun, only_the_toy, work


@pytest.fixture
def folder(monkeypatch, tmp_path):
    only_the_toy(monkeypatch, tmp_path)
    recipe = replace(RECIPE, quantization="nearest", weight_bits=2, quantization_settings={})
    folder = begun(tmp_path / "runs", recipe)
    work(folder)
    return folder


def test_without_labels_there_are_flips_and_no_calibration_error(folder, capsys):
    assert main(["predictions", folder.run_id, "--json", "--runs", str(folder.path.parent)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ece"] is None
    assert "no labels" in found["reason"]
    result = folder.result()
    assert found["images"] == result["test_images"]
    assert found["agreement"] == pytest.approx(result["agreement"])
    assert len(found["flipped"]) == round((1 - found["agreement"]) * found["images"])


@torch.no_grad()
def test_with_labels_both_networks_are_held_against_them(folder, monkeypatch):
    labels = torch.tensor([0, 1, 2, 0])
    opened = open_run(folder)

    def labelled(folder, images):
        return replace(opened, labels=labels[: len(opened.test)])

    monkeypatch.setattr(question, "open_run", labelled)
    found = question.predictions(folder)
    assert found["truth"] == "labels"
    for who, network in (("teacher", opened.teacher), ("student", opened.student)):
        sure, answer = network(opened.test).softmax(1).max(1)
        right = (answer == labels[: len(answer)]).float()
        bins = (sure * 10).ceil().int() - 1
        gaps = [abs(float((right - sure)[bins == k].sum())) for k in range(10)]
        assert found["ece"][who] == pytest.approx(sum(gaps) / len(sure), abs=1e-6)


def test_a_network_without_classes_is_told_so(folder, monkeypatch):
    opened = open_run(folder)
    opened.context.output = replace(opened.context.output, kind="embedding")
    monkeypatch.setattr(question, "open_run", lambda folder, images: opened)
    with pytest.raises(
        UserError, match=r"without classes of images .its output is of the kind embedding"
    ):
        question.predictions(folder)
