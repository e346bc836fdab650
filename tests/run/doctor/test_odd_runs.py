"""Runs whose outputs are no scores of classes, and of quantizers that are not uniform: each is told of."""

import json
from dataclasses import replace

import pytest

from engine.run import context
from engine.run.questions.doctor.doctor import doctor
from tests.outputs import NETWORKS
from tests.run.toy_runs import RECIPE, begun, only_the_toy, work

FEW_BITS = replace(
    RECIPE, synthesis="zeroq", synthesis_settings={"steps": 2, "batch": 4}, quantization="nearest",
    weight_bits=2, quantization_settings={},
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "unit"),
    [("denoiser", "dB of the outputs"), ("segmentation", "KL"), ("one-logit", "KL")],
)
def test_gains_are_told_in_what_the_output_can_be_judged_by(name, unit, monkeypatch, tmp_path):
    only_the_toy(monkeypatch, tmp_path)
    card = replace(
        context.find_card("toy", {}), build=NETWORKS[name], weights=lambda: None, output="auto"
    )
    monkeypatch.setattr(context, "find_card", lambda *_: card)
    folder = begun(tmp_path / "runs", FEW_BITS)
    work(folder)
    found = doctor(folder)
    gains = [
        one for one in found["findings"] if one["change"] and one["predicted_gain"] is not None
    ]
    assert {one["unit"] for one in gains} == {unit}
    assert max(one["predicted_gain"] for one in gains) > 0
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("quantization", ["mixed", "lq-nets"])
def test_every_kind_of_grid_is_looked_at(quantization, monkeypatch, tmp_path):
    only_the_toy(monkeypatch, tmp_path)
    folder = begun(tmp_path / "runs", replace(FEW_BITS, quantization=quantization))
    work(folder)
    found = doctor(folder)
    assert found["loss"]["value"] > 0
    json.dumps(found, allow_nan=False)
