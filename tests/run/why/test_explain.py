"""Why each layer of a finished tiny run errs: its parts, where they began, and how it is asked."""

import json
from dataclasses import replace

import pytest
import torch

from engine.__main__ import main
from engine.analysis.layers.errors import sqnr_db
from engine.core.trace import first_value
from engine.run.questions.why import answers
from engine.run.questions.why.explain import explain
from engine.run.questions.why.opened import open_run
from engine.run.questions.why.origins import in_float
from tests.run.toy_runs import RECIPE, begun, only_the_toy, work


@pytest.fixture
def unfinished(monkeypatch, tmp_path):
    only_the_toy(monkeypatch, tmp_path)
    recipe = replace(RECIPE, quantization="nearest", weight_bits=2, quantization_settings={})
    return begun(tmp_path / "runs", recipe)


@pytest.fixture
def folder(unfinished):
    work(unfinished)
    return unfinished


@pytest.fixture
def no_grad(folder):
    with torch.no_grad():
        yield


def test_an_unfinished_run_is_refused_in_a_line(unfinished, capsys):
    assert main(["explain", unfinished.run_id, "--runs", str(unfinished.path.parent)]) == 2
    assert "is not finished (it is new)" in capsys.readouterr().err


def test_every_layer_is_split_as_by_its_own_tensors(folder, no_grad):
    found = {row["path"]: row for row in explain(folder)["layers"]}
    run = open_run(folder)
    assert list(found) == list(run.plan)
    # one layer that has a grid of its own, and two that read one that their block has
    for path, grid in {
        "same.conv2": "same.conv2",
        "down.conv1": "down",
        "down.shortcut.0": "down",
    }.items():
        layer, wanted = run.student.get_submodule(path), run.teacher.get_submodule(path)
        x_t = first_value(run.teacher, path, "input", run.test)
        x_s = first_value(run.student, f"{grid}.input_quantizer", "input", run.test)
        x_q = run.student.get_submodule(grid).input_quantizer(x_s)
        weight, right = layer.weight, wanted.weight
        conv = lambda x, w, layer=wanted: layer._conv_forward(x, w, None).double()  # noqa: E731
        e = conv(x_q, weight) - conv(x_t, right)
        shares = found[path]["share"]
        parts = {
            "weights": conv(x_t, weight - right),
            "activations": conv(x_q - x_s, right),
            "inherited": conv(x_s - x_t, right),
        }
        for name, part in parts.items():
            assert shares[name] == pytest.approx(float((part * e).sum() / (e * e).sum()), abs=1e-4)
        assert sum(shares.values()) == pytest.approx(1, abs=1e-4)
        given = first_value(run.student, path, "output", run.test)
        assert found[path]["sqnr_accumulated_db"] == pytest.approx(
            sqnr_db(first_value(run.teacher, path, "output", run.test), given), abs=1e-3
        )
    assert found["stem.0"]["share"]["inherited"] == 0  # the image is right


def test_an_error_began_where_one_layer_in_float_takes_most_of_it_away(folder, no_grad):
    run = open_run(folder)
    last = explain(folder)["layers"][-1]

    def error():
        right, given = (
            first_value(net, "head.2", "output", run.test) for net in (run.teacher, run.student)
        )
        return float((given.double() - right).square().sum())

    whole, gains = error(), {}
    for path in list(run.plan)[:-1]:
        with in_float(run, path):
            assert (
                run.student.get_submodule(path).weight
                is run.student.get_submodule(path).float_weight
            )
            gains[path] = 1 - error() / whole
    assert last["origin"] == max(gains, key=gains.get)
    assert last["origin_gain"] == pytest.approx(max(gains.values()), abs=1e-5)
    assert last["origin_gain"] > 0


def test_the_command_prints_the_contract_and_keeps_its_answer(folder, capsys, monkeypatch):
    place = ["--runs", str(folder.path.parent)]
    assert main(["explain", folder.run_id, "--json", *place]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"run", "layers", "sentence"} <= found.keys()
    keys = {"path", "sqnr_local_db", "sqnr_accumulated_db", "share", "verdict"}
    assert all(keys <= row.keys() for row in found["layers"])
    monkeypatch.setattr("engine.run.questions.why.explain.explain", None)  # not asked again
    assert main(["explain", folder.run_id, "--layer", "same.conv2", "--json", *place]) == 0
    one = json.loads(capsys.readouterr().out)
    assert [row["path"] for row in one["layers"]] == ["same.conv2"]
    assert one["sentence"] == f"same.conv2: {one['layers'][0]['verdict']}"
    assert answers.explain(folder) == found
    assert main(["explain", folder.run_id, "--layer", "conv9", *place]) == 2
    assert "has no layer 'conv9'; choose one of stem.0" in capsys.readouterr().err


def test_a_record_without_its_student_is_refused_in_a_line(folder, capsys):
    for file in folder.path.glob("blocks/*"):
        file.unlink()
    assert main(["explain", folder.run_id, "--runs", str(folder.path.parent)]) == 2
    said = capsys.readouterr().err.strip()
    assert "is here as a record alone" in said
    assert "\n" not in said
