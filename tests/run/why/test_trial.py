"""A choice of bits measured at once: what it is judged by, and what it refuses."""

from dataclasses import replace

import pytest
import torch

from engine.analysis.answers.accuracy import logit_kl
from engine.core.errors import UserError
from engine.run.questions.why.fewer_bits import trial as question
from engine.run.questions.why.opened import open_run
from tests.run.toy_runs import rounded_at


@pytest.fixture
def folder(monkeypatch, tmp_path):
    return rounded_at(8, monkeypatch, tmp_path)


def test_only_what_is_named_changes_and_fewer_bits_lose_more(folder):
    own, few = (
        question.trial(folder, {"weight_bits": named})
        for named in ({}, {"same.conv2": 2, "down.conv1": 2})
    )
    assert few["kl"] > own["kl"]
    with torch.no_grad():
        run = open_run(folder)
        told = logit_kl(run.outputs(run.teacher, run.test), run.outputs(run.student, run.test))
    assert own["kl"] == pytest.approx(
        told, rel=0.5, abs=1e-3
    )  # the run's grids are fitted behind errors
    low, high = own["agreement_band"]
    assert low <= own["agreement"] <= high


def test_a_network_without_scores_is_refused_in_a_line(folder, monkeypatch):
    opened = open_run(folder)
    opened.context.output = replace(opened.context.output, kind="image")
    monkeypatch.setattr(question, "open_run", lambda folder, images: opened)
    with pytest.raises(
        UserError, match=r"without scores of classes .its output is of the kind image"
    ):
        question.trial(folder, {"weight_bits": {}})
