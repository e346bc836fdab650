"""A whole tiny run of a network without classes, with images of the user's own program."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from PIL import Image

from engine.core.errors import UserError
from engine.core.events import Noted, RunFailed, Stepped
from engine.core.percent import percent
from engine.quantization import discover_methods
from engine.run import context
from engine.run.commands.printed.tables import result_table
from engine.run.questions.costs.analyse import analyse
from tests.contracts.nets import budget
from tests.run.toy_runs import RECIPE, begun, of, only_the_toy, work

PROGRAM = """
import torch

def faces():
    rng = torch.Generator().manual_seed(0)
    while True:
        yield torch.rand(3, 3, 8, 8, generator=rng)
"""
METHODS = discover_methods()
QUICK = {"steps": 3, "batch": 4, "correction_steps": 2, "prediction_weight": 1.0}


@pytest.fixture
def recipe(monkeypatch, tmp_path):
    only_the_toy(monkeypatch, tmp_path)
    find = context.find_card
    monkeypatch.setattr(
        context, "find_card", lambda *names: replace(find(*names), output="embedding")
    )
    (tmp_path / "faces.py").write_text(PROGRAM)
    return replace(
        RECIPE, synthesis="external", synthesis_settings={"folder": f"{tmp_path}/faces.py:faces"},
        quantization="pd-quant", quantization_settings=QUICK,
    )  # fmt: skip


def pictures(folder, names=("one", "one", "two", "two")):
    rng = np.random.default_rng(0)
    for k, name in enumerate(names):
        (folder / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8)).save(folder / name / f"{k}.png")
    return str(folder)


def test_is_judged_by_its_directions_and_nothing_is_said_of_classes(recipe, tmp_path, monkeypatch):
    teachers = []
    load = context.ModelCard.load_noted

    def spy(card, weights=None):
        loaded = load(card, weights)
        teachers.append((loaded[0], {k: v.clone() for k, v in loaded[0].state_dict().items()}))
        return loaded

    monkeypatch.setattr(context.ModelCard, "load_noted", spy)
    folder = begun(tmp_path / "runs", recipe)
    result = work(folder)
    cosine = result["embedding_cosine"]
    assert -1 <= cosine["least"] <= cosine["mean"] < 1
    assert result["agreement"] is result["logit_kl"] is result["fp32_top1"] is None
    assert "cosine of the embeddings" in result_table(result | {"folder": ""})
    steps = of(folder, Stepped)
    assert not any("confidence" in one.values for one in steps)
    assert any(one.losses.get("prediction", 0) > 0 for one in steps)
    with np.load(folder.snapshot("image-statistics.npz")) as statistics:
        assert "classes" not in statistics.files
        assert statistics["features"].shape[0] == recipe.images
    with pytest.raises(UserError, match="without classes"):
        analyse(folder)
    for teacher, before in teachers:
        after = teacher.state_dict()
        assert all(torch.equal(after[name], before[name]) for name in before)


def test_images_are_those_of_the_program_in_order(recipe, tmp_path):
    folder = begun(
        tmp_path / "runs", replace(recipe, quantization="nearest", quantization_settings={})
    )
    work(folder)
    from safetensors.torch import load_file

    (file,) = folder.path.glob("images-*.safetensors")
    drawn = torch.rand(9, 3, 8, 8, generator=torch.Generator().manual_seed(0))[: recipe.images]
    assert torch.allclose(load_file(file)["images"], (drawn - 0.5) / 0.5, atol=1e-6)


def test_of_too_few_images_no_verification_is_told_and_kl_is_not_taken_in_silence(recipe, tmp_path):
    settings = QUICK | {"prediction": "kl"}
    data = pictures(tmp_path / "data")
    folder = begun(tmp_path / "runs", replace(recipe, data=data, quantization_settings=settings))
    result = work(folder)
    assert result["fp32_top1"] is None
    assert result["test_images"] == 4
    notes = [note.message for note in of(folder, Noted)]
    assert result["verification"] is None
    assert any("that takes 20 pairs" in note for note in notes)
    assert any("prediction=kl reads this network's outputs as scores" in note for note in notes)


def test_images_of_people_in_folders_are_verified_in_pairs(recipe, tmp_path):
    """Thirty of each: 14 pairs of the same, 16 of both; the teacher is judged as by hand."""
    data = pictures(tmp_path / "data", ("Ann", "7") * 30)
    folder = begun(
        tmp_path / "runs",
        replace(recipe, data=data, quantization="nearest", quantization_settings={}),
    )
    result = work(folder)
    found = result["verification"]
    assert found["pairs"] == 2 * 7 + 16
    for name in ("fp32", "quantized"):
        low, high = found["band"][name]
        assert 0 <= low <= found["error"][name] <= high <= 1
    told = result_table(result | {"folder": ""})
    assert percent(found["error"]["quantized"], 2) in told
    assert result["fp32_top1"] is None
    assert "top-1" not in told
    assert not any("not looked at" in note.message for note in of(folder, Noted))


@pytest.mark.parametrize("name", METHODS)
def test_every_quantizer_runs_or_says_in_a_line_that_it_reads_classes(name, recipe, tmp_path):
    cls = METHODS[name]
    settings = asdict(budget(cls.Settings, steps=2, batch=4))
    folder = begun(
        tmp_path / "runs", replace(recipe, quantization=name, quantization_settings=settings)
    )
    result = work(folder)
    if "classes" in cls.card.needs:
        assert isinstance(result, RunFailed)
        assert "\n" not in result.message
        assert "no scores of classes" in result.message
        return
    assert result["embedding_cosine"]["mean"] <= 1
    assert result["agreement"] is None
