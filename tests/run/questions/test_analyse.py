"""Leaving one layer out of quantization, in a finished tiny run."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.__main__ import main
from engine.core.errors import UserError
from engine.run.context import make_context
from engine.run.folders.control import Control
from engine.run.questions.costs import analyse as questions
from engine.run.questions.costs.analyse import analyse, without
from engine.run.questions.costs.layer_costs import kept
from engine.run.stages.quantization.quantize import load_student
from engine.run.stages.synthesis.held_out_images import load_others
from tests.contracts.nets import TinyResNet, ready
from tests.run.toy_runs import IMAGES, RECIPE, begun, only_the_toy, work


@pytest.fixture
def folder(monkeypatch, tmp_path):
    only_the_toy(monkeypatch, tmp_path)
    recipe = replace(RECIPE, quantization="nearest", weight_bits=2, quantization_settings={})
    return begun(tmp_path / "runs", recipe)


@torch.no_grad()
def kl(model, teacher, x):
    p, q = teacher(x).log_softmax(1), model(x).log_softmax(1)
    return float((p.exp() * (p - q)).sum(1).mean())


def naive(logits, wanted):
    p, q = wanted.softmax(1), logits.double().softmax(1)
    return (p * (p.log() - q.log())).sum(1)


def test_the_gain_of_a_layer_is_what_comes_back_with_it_in_float(folder):
    with pytest.raises(UserError, match="is not finished"):
        analyse(folder)
    result = work(folder)
    found = analyse(folder)
    assert [layer["path"] for layer in found["layers"]] == [o["path"] for o in result["layers"]]
    assert (found["images"], found["top1"]) == (IMAGES // 2, None)
    assert found["kl"] == pytest.approx(result["logit_kl"], rel=1e-4)
    assert kept(folder) == found
    context = make_context(
        folder.recipe, folder, Control(folder.path, lambda state: None), torch.device("cpu")
    )
    student, x = load_student(context), load_others(context)
    before = student(x)
    with torch.no_grad():
        weight = student.same.conv1.float_weight
    with without(student, [("same.conv1", "weight_quantizer"), ("same", "input_quantizer")]):
        assert student.same.conv1.weight is weight
        alone = kl(student, context.teacher, x)
    assert torch.equal(student(x), before)
    gains = {layer["path"]: layer["kl_gain"] for layer in found["layers"]}
    assert gains["same.conv1"] == pytest.approx(found["kl"] - alone, abs=1e-5)
    assert max(gains.values()) > 0


def test_weights_and_inputs_are_left_out_alone_and_a_shared_input_with_each_reader(folder):
    work(folder)
    rows = {layer["path"]: layer for layer in analyse(folder)["layers"]}
    context = make_context(
        folder.recipe, folder, Control(folder.path, lambda state: None), torch.device("cpu")
    )
    student, x = load_student(context), load_others(context)
    whole = kl(student, context.teacher, x)
    weights = {"same.conv1": student.same.conv1, "same.conv2": student.same.conv2}
    for path, layer in weights.items():
        quantizer, layer.weight_quantizer = layer.weight_quantizer, None
        gain = whole - kl(student, context.teacher, x)
        assert rows[path]["weights_kl_gain"] == pytest.approx(gain, abs=1e-5)
        layer.weight_quantizer = quantizer
    inputs = {"same.conv2": student.same.conv2, "same.conv1": student.same, "down.conv1": student.down,
              "down.shortcut.0": student.down}  # fmt: skip
    for path, owner in inputs.items():
        forward, owner.input_quantizer.forward = owner.input_quantizer.forward, lambda x: x
        gain = whole - kl(student, context.teacher, x)
        assert rows[path]["input_kl_gain"] == pytest.approx(gain, abs=1e-5)
        owner.input_quantizer.forward = forward
    assert rows["stem.0"]["input_kl_gain"] is None  # the image


def test_gains_in_right_answers_are_counted_image_by_image(monkeypatch, tmp_path):
    """A naive second count: which images each student has right, and the band by hand."""
    only_the_toy(monkeypatch, tmp_path)
    recipe = replace(
        RECIPE, synthesis="noise", synthesis_settings={}, quantization="nearest", weight_bits=2,
        activation_bits=8, quantization_settings={}, edge_rule="all",
    )  # fmt: skip
    folder = begun(tmp_path / "runs", recipe)
    rng, count = torch.Generator().manual_seed(0), 400
    x = torch.randn(count, 3, 8, 8, generator=rng) + torch.randn(count, 3, 1, 1, generator=rng)
    labels = torch.randint(0, 3, (count,), generator=rng)
    monkeypatch.setattr(questions, "_images", lambda context, most: (x, labels))
    file = tmp_path / "toy.safetensors"
    weights = load_file(file)  # a head that is centred, so that answers differ
    with torch.no_grad():
        network = ready(TinyResNet())
        outputs = network(x)
        weights["head.2.bias"] = network.head[2].bias - outputs.mean(0)
    save_file(weights, file)
    work(folder)
    found = analyse(folder)
    context = make_context(
        folder.recipe, folder, Control(folder.path, lambda state: None), torch.device("cpu")
    )
    student = load_student(context)
    with torch.no_grad():
        teacher_logits, whole_logits = context.teacher(x).double(), student(x).double()
        teacher, whole = teacher_logits.argmax(1), whole_logits.argmax(1)
        assert found["agreement"] == float((teacher == whole).double().mean())
        for row in found["layers"]:
            with without(student, [(row["path"], "weight_quantizer")]):
                alone = student(x).argmax(1)
            for name, right in (("agreement", teacher), ("top1", labels)):
                outcomes = [
                    (int(a == r), int(w == r)) for a, w, r in zip(alone, whole, right, strict=True)
                ]
                won, lost = outcomes.count((1, 0)), outcomes.count((0, 1))
                gain = f"weights_{name}_gain"
                assert row[gain] == pytest.approx((won - lost) / count)
                b, c, m = won + 0.5, lost + 0.5, count + 2
                half = 1.959964 * (b + c - (b - c) ** 2 / m) ** 0.5 / m
                band = (row[f"{gain}_low"], row[f"{gain}_high"])
                assert band == pytest.approx(((b - c) / m - half, (b - c) / m + half))
            with without(student, [(row["path"], "weight_quantizer")]):
                differences = (
                    naive(whole_logits, teacher_logits) - naive(student(x), teacher_logits)
                ).numpy()
            low, high = row["weights_kl_gain_low"], row["weights_kl_gain_high"]
            half = 1.9659 * differences.std(ddof=1) / count**0.5  # Student's t of 399
            assert (low + high) / 2 == pytest.approx(differences.mean(), abs=1e-6)
            assert (high - low) / 2 == pytest.approx(half, rel=1e-3)
    ranks = {row["rank"]: row for row in found["layers"] if row["kl_gain_low"] > 0}
    assert sorted(ranks) == list(range(1, len(ranks) + 1))
    assert [row["kl_gain"] for _, row in sorted(ranks.items())] == sorted(
        (row["kl_gain"] for row in ranks.values()), reverse=True
    )
    for name in ("agreement_gain", "top1_gain"):  # else nothing was counted
        assert any(row[f"weights_{name}"] for row in found["layers"])


def test_what_may_be_chance_has_no_rank():
    gains = [("clear", 0.2, 0.1), ("chance", 0.3, -0.1), ("small", 0.05, 0.01), ("none", 0.4, None)]
    rows = [{"path": path, "kl_gain": gain, "kl_gain_low": low} for path, gain, low in gains]
    assert [row["rank"] for row in questions.ranked(rows)] == [1, None, 2, None]


def test_without_labels_there_is_agreement_but_no_accuracy(folder):
    work(folder)
    found = analyse(folder)
    assert 0 <= found["agreement"] <= 1
    for row in found["layers"]:
        assert row["agreement_gain_low"] < row["agreement_gain_high"]
        assert row["top1_gain"] is row["top1_gain_low"] is row["weights_top1_gain_high"] is None
        assert (row["input_agreement_gain"] is None) is (row["input_kl_gain"] is None)


def test_the_command_prints_a_row_a_layer(folder, capsys):
    work(folder)
    place = ["--runs", str(folder.path.parent)]
    assert main(["analyse", folder.run_id, *place]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert {"kl_gain", "agreement_gain", "top1_gain", "top1_gain_low"} <= set(head.split())
    assert len(rows) == len(kept(folder)["layers"])


def test_the_command_names_the_run_that_is_not_there(capsys, tmp_path):
    assert main(["analyse", "nothing", "--runs", str(tmp_path)]) == 2
    assert "run 'nothing' is not in" in capsys.readouterr().err
    assert main(["analyse", "x", "--images", "none", "--runs", str(tmp_path)]) == 2
