"""A whole tiny run whose bits are chosen by measuring."""

import json
from dataclasses import replace

import pytest
import torch

from engine.core.events import BitsChosen, BlockStarted, LayerMeasured, Noted, Stepped
from engine.run.context import make_context
from engine.run.folders.control import Control
from engine.run.recipes.layer_bits import bits_wanted
from engine.run.stages.quantization.bits import _warn
from engine.run.stages.quantization.quantize import load_student
from tests.run.toy_runs import RECIPE, begun, of, only_the_toy, work


@pytest.fixture(autouse=True)
def toy(monkeypatch, tmp_path):
    only_the_toy(monkeypatch, tmp_path)


def test_the_bits_chosen_are_those_of_the_student_the_result_and_the_events(tmp_path):
    settings = {"rounding": "gpfq", "effort": "quick", "images": 4}
    recipe = replace(RECIPE, quantization="mixed", quantization_settings=settings)
    folder = begun(tmp_path / "runs", recipe)
    result = work(folder)
    (chosen,) = of(folder, BitsChosen)
    assert {layer["path"]: layer["weight_bits"] for layer in result["layers"]} == chosen.weight_bits
    measured = {event.path: event.values["weight_bits"] for event in of(folder, LayerMeasured)}
    assert measured == chosen.weight_bits
    assert result["allocation"] == json.loads(json.dumps(chosen.report))
    assert len(set(chosen.weight_bits.values()) - {8}) >= 1
    parts = [event.part for event in of(folder, Stepped) if event.stage == "quantization"]
    assert parts[0] == "bits"
    context = make_context(
        recipe, folder, Control(folder.path, lambda state: None), torch.device("cpu")
    )
    student = load_student(context)
    for path, bits in chosen.weight_bits.items():
        quantizer = student.get_submodule(path).weight_quantizer
        assert quantizer.bits == bits
        assert int(quantizer.codes.max()) < 2**bits
    assert len(of(begun(tmp_path / "runs", recipe), BitsChosen)) == 1
    (folder.path / "result.json").unlink()
    assert work(folder)["allocation"] == result["allocation"]
    assert len(of(folder, BitsChosen)) == 1


def test_the_activations_bits_chosen_are_those_of_the_student_too(tmp_path):
    settings = {"rounding": "nearest", "effort": "quick", "images": 4, "inputs": True,
                "budget": "bit-operations", "solver": "integer"}  # fmt: skip
    recipe = replace(RECIPE, quantization="mixed", quantization_settings=settings)
    folder = begun(tmp_path / "runs", recipe)
    result = work(folder)
    (chosen,) = of(folder, BitsChosen)
    said = {layer["path"]: layer["activation_bits"] for layer in result["layers"]}
    assert said == chosen.activation_bits
    measured = {
        event.path: event.values.get("activation_bits") for event in of(folder, LayerMeasured)
    }
    assert measured == said
    for row in chosen.report["inputs"]:
        assert {chosen.activation_bits[path] for path in row["layers"]} == {row["activation_bits"]}
    context = make_context(
        recipe, folder, Control(folder.path, lambda state: None), torch.device("cpu")
    )
    student = load_student(context)
    for row in chosen.report["inputs"]:
        levels = student.get_submodule(row["path"]).input_quantizer.levels()
        assert levels.numel() == 2 ** row["activation_bits"]


@pytest.mark.parametrize("share", [1.0, 4.0])
def test_a_budget_of_latency_is_kept_by_the_student_and_told_in_a_line(tmp_path, share):
    settings = {"rounding": "nearest", "effort": "quick", "images": 4, "budget": "latency",
                "share": share}  # fmt: skip
    folder = begun(
        tmp_path / "runs", replace(RECIPE, quantization="mixed", quantization_settings=settings)
    )
    result = work(folder)
    report = result["allocation"]
    reads = {layer["path"]: layer["activation_bits"] for layer in result["layers"]}
    rows = report["kernels"]["layers"]
    assert {row["path"]: row["runs"] == "float" for row in rows} == {
        path: bits is None for path, bits in reads.items()
    }
    spent = sum(row["float_ms" if row["runs"] == "float" else "int8_ms"] for row in rows)
    assert spent == pytest.approx(report["chosen"]["cost"], abs=1e-4)  # whole nanoseconds
    assert spent <= report["budget"] + 1e-4
    if share > 1:  # four times the time: what could be float is
        assert set(reads.values()) == {None}
    assert report["kernels"]["sentence"] in [note.message for note in of(folder, Noted)]


def test_another_quantizer_takes_the_bits_of_a_latency_run_floats_and_all(tmp_path):
    settings = {"rounding": "nearest", "effort": "quick", "images": 4, "budget": "latency",
                "share": 4.0}  # fmt: skip
    folder = begun(
        tmp_path / "runs", replace(RECIPE, quantization="mixed", quantization_settings=settings)
    )
    theirs = {row["path"]: row for row in work(folder)["layers"]}
    assert {row["activation_bits"] for row in theirs.values()} == {None}
    bits = bits_wanted(str(folder.path / "bits.json"), {"name": "nearest"})
    given = replace(RECIPE, quantization="nearest", quantization_settings={"bits": bits})
    mine = {row["path"]: row for row in work(begun(tmp_path / "runs", given))["layers"]}
    for kind in ("weight_bits", "activation_bits"):
        assert {path: row[kind] for path, row in mine.items()} == {
            path: row[kind] for path, row in theirs.items()
        }


@pytest.mark.parametrize("rounding", ["quantoscope", "brecq", "pd-quant", "aquant"])
def test_a_learning_quantizer_takes_its_steps_with_the_bits_chosen(tmp_path, rounding):
    settings = {"rounding": rounding, "effort": "quick", "steps": 2, "images": 4}
    folder = begun(
        tmp_path / "runs", replace(RECIPE, quantization="mixed", quantization_settings=settings)
    )
    result = work(folder)
    (chosen,) = of(folder, BitsChosen)
    assert {layer["path"]: layer["weight_bits"] for layer in result["layers"]} == chosen.weight_bits
    assert all(block.total_steps >= 2 for block in of(folder, BlockStarted))


@pytest.mark.parametrize(
    ("budget", "kl", "said"),
    [
        (100, 0.4, "are further from the teacher (KL 0.4) than 4 bits in every layer (0.3)."),
        (100, 0.3, "are as far from the teacher (KL 0.3) as 4 bits in every layer (0.3)."),
        (100, 0.2, ""),
        (90, 0.4, ""),  # 4 bits are too dear: it is nearer than the 3 that the budget buys
        (90, 0.6, "than 3 bits in every layer (0.5), which cost 83.3\u00a0% of the budget."),
        (200, 0.2, "than 8 bits in every layer (0.1)."),  # nearer than 4 bits, at twice their cost
        (50, 0.9, ""),  # where only inputs' bits are chosen, no width for all may be cheap enough
    ],
)
def test_no_gain_is_said_of_the_width_that_the_same_budget_buys(budget, kl, said):
    uniform = [
        {"weight_bits": bits, "cost": 25.0 * bits, "kl_together": far}
        for bits, far in ((3, 0.5), (4, 0.3), (8, 0.1))
    ]
    report = {"budget": budget, "chosen": {"cost": budget, "kl_together": kl}, "uniform": uniform}
    notes = [event.message for event in _warn(report)]
    assert bool(notes) is bool(said)
    assert all(said in note for note in notes)
    assert not list(_warn({"uniform": []}))
