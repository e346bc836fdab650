"""Forks of every synthesis method: each setting that may change in the middle changes what comes.

And breaks nothing: the state is that of the other settings.
"""

import io
from functools import cache
from typing import Any

import pytest
import torch

from engine.core.method import describe
from engine.synthesis import discover_methods
from tests.contracts.nets import budget, request
from tests.thorough import thorough

STEPS, FORK_AT = 8, 4
METHODS = {
    name: cls
    for name, cls in discover_methods().items()
    if cls.planned_steps(budget(cls.Settings), 0)  # the others are never in the middle of anything
}
BASE = {"steps": STEPS, "width": 16, "latent": 8, "noise_images": 16}
# What must be on (or far enough) for a setting to have anything to say, by setting.
WHERE = {
    "student_lr": {"co_training": True, "student_warm_up": 0.0},
    "student_cross_entropy": {"co_training": True, "student_warm_up": 0.0},
    "student_temperature": {"co_training": True, "student_warm_up": 0.0},
    "student_distillation": {
        "co_training": True,
        "student_warm_up": 0.0,
        "student_cross_entropy": 1.0,
    },
    "student_kl_over": {"co_training": True, "student_warm_up": 0.0},
    "student_warm_up": {"co_training": True, "student_warm_up": 0.25},
    "co_training": {"student_warm_up": 0.0},
    "fill_mean": {"targets": "literal"},
    "fill_std": {"targets": "literal"},
    "correlation": {"correlation_weight": 10.0},
    "present": {"scope": "moving"},
}
CLUSTERS = {
    "warm_up": 0.25,
    "pace": 0.125,
}  # centroids that are there before the fork, and move after
OF_METHOD = {
    "clusterq": dict.fromkeys(
        ("centroid_weight", "beta", "noise", "layers", "warm_up", "pace"), CLUSTERS
    ),
    "deep-inversion": {
        "over_channels": {"metric": "squared"}
    },  # a norm is of all channels as it is
    "intraq": {"upper": {"lower": 0.0}},  # which is not above it
    "gzsq": {"second": {"metric": "squared"}},  # a z-score is of deviations as it is
}
TO = {  # values that say more than twice or half of what was
    "warm_up": 1.0,
    "student_warm_up": 1.0,
    "low_pass": 2.0,
    "lower": 0.0,  # features of the tiny network are all alike: below any other bound
    "upper": 0.0,  # likewise
}


def open_knobs(name):
    return [knob for knob in describe(METHODS[name].Settings) if not knob["fixed"]]


def others(knob, value):
    """Values to change to, the first of them a telling one: a number's lowest may be past already."""
    if knob["type"] == "bool":
        return [not value]
    if knob["choices"]:
        return [choice for choice in knob["choices"] if choice != value]
    number = int if knob["type"] == "int" else float
    high = float("inf") if knob["high"] is None else knob["high"]
    low = -float("inf") if knob["low"] is None else knob["low"]
    found = [TO.get(knob["name"]), 2 * value, value / 2, min(1, high), low, high]
    fitting = [number(x) for x in found if x is not None and low <= number(x) <= high]
    first = next(x for x in fitting if x != value)
    return list(dict.fromkeys([first, *[number(low)] * (low == 0 != value)]))


def given_for(name, knob):
    given = BASE | WHERE.get(knob["name"], {}) | OF_METHOD.get(name, {}).get(knob["name"], {})
    names = {each["name"] for each in describe(METHODS[name].Settings)}
    return {key: value for key, value in given.items() if key in names}


def chosen(name, given):
    return budget(METHODS[name].Settings, **given)


def make(name, given, *, remembers=True, **facts):
    left = memory(name) if remembers else {}
    asked = request(METHODS[name].Settings, batch=1 if left else 0, memory=left, **given | facts)
    return METHODS[name](asked)


CASES = [
    (name, knob["name"], value)
    for name in METHODS
    for knob in open_knobs(name)
    for value in others(knob, getattr(chosen(name, given_for(name, knob)), knob["name"]))
]


@cache
def memory(name):
    """What a first batch leaves to the second, where the second is made in steps too."""
    if not METHODS[name].planned_steps(budget(METHODS[name].Settings), 1):
        return {}
    first = make(name, BASE, remembers=False)
    for _ in range(STEPS):
        first.step()
    return first.remember()


@cache
def begun(name, given):
    machine = make(name, dict(given))
    for _ in range(FORK_AT):
        machine.step()
    buffer = io.BytesIO()
    torch.save(machine.state_dict(), buffer)
    return buffer.getvalue()


def future(name, given, **changes):
    """What a run that forks here ends with: images, labels, and a student's weights."""
    # Read anew each time: an optimiser goes on in the very tensors that it is given.
    state = torch.load(io.BytesIO(begun(name, tuple(sorted(given.items())))), weights_only=True)
    machine = make(name, given | changes)
    machine.load_state_dict(state)
    for _ in range(STEPS - FORK_AT):
        machine.step()
    images, labels = machine.images(), machine.labels()
    assert torch.isfinite(images).all()
    if machine.parts.keep_best:  # the best may lie before the fork; what counts is where it goes
        images = machine.parts.canvas.render(None).detach()
    found = {"images": images} if labels is None else {"images": images, "labels": labels}
    return found | machine.student_weights()


@cache
def unchanged(name, given):
    return future(name, dict(given))


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("name", METHODS)
def test_equal_settings_have_one_future(name):
    given = given_for(name, {"name": ""})
    assert same(future(name, given), future(name, given))


def first_of_each_setting():
    """Every case; those of a setting that a method before has too, with the same values, repeat it."""
    seen, found = set(), []
    for name, setting, value in CASES:
        known = (setting, str(value)) in seen
        seen.add((setting, str(value)))
        found += thorough((name, setting, value)) if known else [(name, setting, value)]
    return found


@pytest.mark.extended
@pytest.mark.parametrize(("name", "setting", "value"), first_of_each_setting())
def test_a_changed_setting_changes_the_future(name, setting, value):
    knob = next(one for one in open_knobs(name) if one["name"] == setting)
    given = given_for(name, knob)
    changed = future(name, given, **{setting: value})
    telling = knob["choices"] or value == others(knob, getattr(chosen(name, given), setting))[0]
    if telling:
        assert not same(changed, unchanged(name, tuple(sorted(given.items()))))
