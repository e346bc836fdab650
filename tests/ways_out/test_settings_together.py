"""Settings that cannot go together: the message names the one to change, and with that it works."""

import re
from dataclasses import fields, replace

import pytest
import torch
from torch import nn

from engine.core.errors import UserError
from engine.core.events import StageStarted
from engine.run import context
from engine.synthesis import discover_methods
from engine.synthesis.composed import ComposedMethod
from tests.contracts.nets import TinyResNet, ready, request
from tests.run.toy_runs import RECIPE, begun, of, only_the_toy, work

METHODS = discover_methods()
COMPOSED = sorted(name for name, cls in METHODS.items() if issubclass(cls, ComposedMethod))


def refusal(act):
    with pytest.raises(UserError) as raised:
        act()
    assert "\n" not in str(raised.value)
    return str(raised.value)


def begin(name, **facts):
    method = METHODS[name](request(METHODS[name].Settings, **facts))
    losses = method.step() if method.total_steps else {}
    assert all(torch.isfinite(loss) for loss in losses.values())
    return method


@pytest.mark.parametrize("name", COMPOSED)
def test_where_every_weight_is_zero_each_that_is_named_is_enough(name):
    weights = [f.name for f in fields(METHODS[name].Settings) if "weight" in f.name.split("_")]
    nothing = dict.fromkeys(weights, 0.0)
    try:
        begin(name, **nothing)
    except UserError as error:
        ways = re.findall(r"synthesis\.(\w+)", str(error))
        assert ways
        for way in ways:
            begin(name, **nothing | {way: 1.0})


TOGETHER = [  # method, what is wrong, what the message says, what it says to do
    ("intraq", {"lower": 0.5, "upper": 0.1}, "lower the one", {"lower": 0.1, "upper": 0.1}),
    ("intraq", {"lower": 0.5, "upper": 0.1}, "raise the other", {"lower": 0.5, "upper": 0.5}),
    ("dsg", {"class_weight": 1.0, "classes": 0}, "set synthesis.class_weight=0",
     {"class_weight": 0.0, "classes": 0}),
    ("gdfq", {"co_training": True, "student": None}, "synthesis.co_training=false",
     {"co_training": False}),
    ("gdfq", {"co_training": True, "student_distillation": 0.0, "student_cross_entropy": 0.0},
     "synthesis.student_distillation", {"co_training": True, "student_distillation": 1.0}),
    ("deep-inversion", {"competition_weight": 1.0, "student": None},
     "synthesis.competition_weight=0", {"competition_weight": 0.0}),
    ("real", {"shape": (8, 3, 8, 8), "real": torch.zeros(4, 3, 8, 8)}, "choose fewer --images",
     {"shape": (4, 3, 8, 8), "real": torch.zeros(4, 3, 8, 8)}),
    ("real", {"real": None}, "set model.calibration to a folder", {}),
    ("fdda", {"real_labels": None}, "set model.calibration to a folder of class folders", {}),
    ("fdda", {"real_labels": torch.full((8,), 3)}, "tells 3 classes apart, counted from 0",
     {"real_labels": torch.full((8,), 2), "recognised": False}),
    ("external", {"folder": ""}, "synthesis.folder=", None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "wrong", "says", "right"), TOGETHER)
def test_the_setting_that_a_message_names_mends_it(name, wrong, says, right):
    assert says in refusal(lambda: begin(name, **wrong))
    if right is not None:
        begin(name, **right)


def test_a_class_that_the_network_does_not_recognise_can_be_taken_anyway():
    nothing = torch.zeros(8, 3, 8, 8)
    seen = int(ready(TinyResNet())(nothing[:1]).argmax())
    wrong = {"real": nothing, "real_labels": torch.full((8,), (seen + 1) % 3)}
    assert "set synthesis.recognised=false" in refusal(lambda: begin("fdda", **wrong))
    begin("fdda", **wrong, recognised=False)
    begin("fdda", real=nothing, real_labels=torch.full((8,), seen))


MIXED = replace(
    RECIPE, synthesis="noise", synthesis_settings={}, quantization="mixed", weight_bits=4,
    quantization_settings={"rounding": "nearest", "sensitivity": "sqnr"},
)  # fmt: skip
CONFLICTS = [
    ({"lowest": 5, "highest": 4}, "must not be above quantization.highest, which is 4", {"lowest": 4}),
    ({"inputs": True}, "set quantization.budget to bit-operations", {"budget": "bit-operations"}),
    ({"inputs": True, "sensitivity": "hessian", "budget": "bit-operations"}, "set it to kl, output or sqnr",
     {"sensitivity": "kl", "images": 4}),
    ({"milliseconds": 5.0}, "set the one to 0, or the other to latency", {"budget": "latency"}),
    ({"budget": "latency", "sensitivity": "hessian"}, "set it to kl, output or sqnr",
     {"sensitivity": "sqnr"}),
]  # fmt: skip
BUDGETS = [
    ({"share": 0.1}, "raise it", {"share": 1.0}),
    ({"budget": "latency", "milliseconds": 1e-4}, "raise it", {"milliseconds": 1000.0}),
    ({"share": 0.6, "lowest": 4}, r"quantization.lowest (4) down", {"lowest": 2}),
]


def mixed(**settings):
    return replace(MIXED, quantization_settings=MIXED.quantization_settings | settings)


@pytest.mark.parametrize(("wrong", "says", "right"), CONFLICTS + BUDGETS)
def test_a_run_whose_settings_conflict_says_which_to_change(
    tmp_path, monkeypatch, wrong, says, right
):
    only_the_toy(monkeypatch, tmp_path)
    folder = begun(tmp_path / "runs", mixed(**wrong))
    failure = work(folder)
    assert says in failure.message
    assert failure.mistake
    if (wrong, says, right) in CONFLICTS:
        assert of(folder, StageStarted) == [], "told only after the synthesis"
    assert work(begun(tmp_path / "runs", mixed(**wrong | right)))["layers"]


def test_a_network_of_first_and_last_layer_alone_names_the_rule_that_leaves_them(
    tmp_path, monkeypatch
):
    only_the_toy(monkeypatch, tmp_path)
    card = context.find_card("toy", {})
    small = ready(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    )  # fmt: skip
    card = replace(card, build=lambda: small, weights=lambda: None)
    monkeypatch.setattr(context, "find_card", lambda *_: card)
    failure = work(begun(tmp_path / "runs", mixed()))
    assert "give the edge rule all, or another quantizer" in failure.message
    assert work(begun(tmp_path / "runs", replace(mixed(), edge_rule="all")))["layers"]
    other = replace(mixed(), quantization="nearest", quantization_settings={})
    assert work(begun(tmp_path / "runs", other))["layers"]
