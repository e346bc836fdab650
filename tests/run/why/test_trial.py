"""A choice of bits measured at once: what it is judged by, and what it refuses."""

from dataclasses import replace

import pytest
import torch

from engine.analysis.answers.accuracy import logit_kl
from engine.core.errors import UserError
from engine.run.commands.finished_run.why import tried_text
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


def test_the_run_s_own_bits_stand_beside_measured_the_same_way(folder):
    own, few = (question.trial(folder, {"weight_bits": named}) for named in ({}, {"same.conv2": 2}))
    beside = {name: own[name] for name in ("kl", "agreement", "agreement_band")}
    assert few["own"] == own["own"] == beside
    assert few["own"]["kl"] < few["kl"]
    assert few["rounding"] == "nearest"


def test_it_is_printed_that_both_are_rounded_to_the_nearest():
    found = {
        "kl": 0.5, "agreement": 0.9, "agreement_band": [0.8, 0.95], "images": 40, "rounding": "nearest",
        "own": {"kl": 0.25, "agreement": 0.95, "agreement_band": [0.9, 0.99]},
    }  # fmt: skip
    text = tried_text(found, "genie-m")
    assert "KL 0.5 nats, agreement 0.9000 (95 %: 0.8000 to 0.9500)" in text.splitlines()[0]
    assert "own" in text.splitlines()[1]
    assert "KL 0.25 nats, agreement 0.9500 (95 %: 0.9000 to 0.9900)" in text.splitlines()[1]
    assert "rounded to the nearest" in text
    assert "40 images" in text
    assert "genie-m" in text
    assert "genie-m" not in tried_text(found, "nearest")


def test_a_network_without_scores_is_refused_in_a_line(folder, monkeypatch):
    opened = open_run(folder)
    opened.context.output = replace(opened.context.output, kind="image")
    monkeypatch.setattr(question, "open_run", lambda folder, images: opened)
    with pytest.raises(
        UserError, match=r"without scores of classes .its output is of the kind image"
    ):
        question.trial(folder, {"weight_bits": {}})
