"""Which answers a finished tiny run has changed."""

import base64
import io
import json
from dataclasses import replace

import pytest
import torch
from PIL import Image

from engine.__main__ import main
from engine.core.errors import UserError
from engine.core.trace import first_value
from engine.run.questions.why import answers
from engine.run.questions.why import predictions as question
from engine.run.questions.why.opened import open_run
from engine.run.questions.why.through import error_growth, pictures
from tests.run.toy_runs import rounded_at


@pytest.fixture
def folder(monkeypatch, tmp_path):
    return rounded_at(2, monkeypatch, tmp_path)


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


@torch.no_grad()
def test_an_images_error_grows_through_the_layers_as_measured_one_image_at_a_time(folder):
    run = open_run(folder)
    found = error_growth(run, [2, 0])
    assert found["layers"] == list(run.plan)
    assert list(found["images"]) == ["2", "0"]
    every = []
    for k in range(len(run.test)):
        one, row = run.test[k : k + 1], []
        for path in run.plan:
            y, seen = (first_value(net, path, "output", one) for net in (run.teacher, run.student))
            row.append(float((seen - y).norm() / y.norm()))
        every.append(row)
    assert found["images"]["2"] == pytest.approx(every[2], rel=1e-3)
    mean = [sum(column) / len(every) for column in zip(*every, strict=True)]
    assert found["usual"]["mean"] == pytest.approx(mean, rel=1e-3)
    assert all(
        low <= middle <= high
        for low, middle, high in zip(
            *(found["usual"][n] for n in ("low", "mean", "high")), strict=True
        )
    )
    assert error_growth(run, [])["images"] == {}


def test_pictures_are_kept_and_not_printed(folder, capsys):
    place = ["--runs", str(folder.path.parent)]
    assert main(["predictions", folder.run_id, "--json", *place]) == 0
    printed = json.loads(capsys.readouterr().out)
    kept = answers.kept_answer(folder, "predictions")
    assert "pictures" not in printed
    assert [str(one["image"]) for one in kept["flipped"]] == list(kept["pictures"])
    for address in kept["pictures"].values():
        with Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))) as picture:
            assert picture.size == (96, 96)
    assert answers.predictions(folder) == kept


@pytest.mark.parametrize(("value", "grey"), [(0.0, 128), (1.0, 255), (-1.0, 0), (9.0, 255)])
def test_a_picture_shows_pixels_as_they_were_before_the_network_normalised_them(value, grey):
    (address,) = pictures(torch.full((1, 1, 28, 28), value), (0.5,), (0.5,))
    with Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))) as picture:
        assert picture.size == (84, 84)  # three times as large
        assert set(picture.convert("L").get_flattened_data()) == {grey}
