"""Rounding to several widths, before a training and after it: once, in the run, of what it trained."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from engine.core.events import Viewed
from engine.quantization.grids.quantizers import WeightQuantizer
from engine.quantization.methods.gradient_l1 import FreeWeight, GradientL1
from engine.run.stages.judging import widths
from tests.run.toy_runs import RECIPE, begun, of, only_the_toy, work


@pytest.fixture(autouse=True)
def toy(monkeypatch, tmp_path):
    only_the_toy(monkeypatch, tmp_path)


def run(tmp_path, method="gradient-l1", **settings):
    recipe = replace(
        RECIPE, synthesis="noise", synthesis_settings={}, quantization=method, weight_bits=4,
        quantization_settings={"steps": 6, "batch": 4} | settings,
    )  # fmt: skip
    folder = begun(tmp_path / "runs", recipe)
    assert isinstance(work(folder), dict)
    return folder, [one for one in of(folder, Viewed) if one.form == "widths"]


def test_one_look_tells_every_width_before_and_after_beside_the_float_networks(tmp_path):
    _, (look,) = run(tmp_path)
    assert look.arrays["bits"] == list(GradientL1.rounded_to)
    for side in ("before", "after"):
        assert len(look.arrays[side]) == 4
        assert all(0 <= share <= 1 for share in look.arrays[side])
    assert look.values["float_before"] == 1.0  # no labels: held against the teacher's own answers
    assert look.values["labelled"] == 0
    assert look.values["images"] > 0


def test_blocks_of_an_older_version_have_nothing_to_look_at(tmp_path, monkeypatch):
    monkeypatch.setattr(FreeWeight, "stored", WeightQuantizer.stored)
    _, looks = run(tmp_path)
    assert looks == []


def test_what_was_trained_is_kept_and_is_what_is_rounded_after(tmp_path, monkeypatch):
    seen = []
    real = widths._rounded

    def watched(context, network, learned, bits):
        seen.append((bits, {path: weight.clone() for path, weight in learned.items()}))
        return real(context, network, learned, bits)

    monkeypatch.setattr(widths, "_rounded", watched)
    folder, _ = run(tmp_path, lr=0.05)
    kept = {}
    for file in sorted((folder.path / "blocks").glob("*.safetensors")):
        kept |= {
            name.removesuffix(".weight.trained"): value
            for name, value in load_file(file).items()
            if name.endswith(".trained") and not name.startswith("layout:")
        }
    assert [bits for bits, _ in seen] == [None, 8, 6, 4, 3] * 2
    assert all(not learned for _, learned in seen[:5])
    for _, learned in seen[5:]:
        assert learned.keys() == kept.keys()
        assert all(torch.equal(learned[path], kept[path]) for path in kept)
    teacher = load_file(tmp_path / "toy.safetensors")
    assert any(not torch.equal(kept[path], teacher[f"{path}.weight"]) for path in kept)


def test_each_layer_is_rounded_to_its_width_and_the_edges_to_8_bits(tmp_path, monkeypatch):
    counts = []
    real = widths._rounded

    def watched(context, network, learned, bits):
        rounded = real(context, network, learned, bits)
        order = list(context.plan)
        weights = {path: rounded.get_submodule(path).weight for path in order}
        most = {p: max(len(row.unique()) for row in w.flatten(1)) for p, w in weights.items()}
        counts.append((bits, most[order[0]], [most[path] for path in order[1:-1]]))
        return rounded

    monkeypatch.setattr(widths, "_rounded", watched)
    run(tmp_path)
    for bits, first, inner in counts:
        if bits is not None:
            assert max(inner) <= 2**bits
            assert first > 8  # of 27 weights: never at 3 bits
    assert any(max(inner) > 16 for bits, _, inner in counts if bits is None)


@pytest.mark.parametrize(("method", "settings"), [("gradient-l1", {"steps": 0}), ("nearest", None)])
def test_without_a_training_there_is_nothing_to_look_at(tmp_path, method, settings):
    recipe = replace(
        RECIPE, synthesis="noise", synthesis_settings={}, quantization=method, weight_bits=4,
        quantization_settings=settings or {},
    )  # fmt: skip
    folder = begun(tmp_path / "runs", recipe)
    assert isinstance(work(folder), dict)
    assert not [one for one in of(folder, Viewed) if one.form == "widths"]
