"""What a run lets be seen of its quantizer: enough, and not too much."""

import json
from dataclasses import replace

import pytest
import torch

from engine.core.events import Viewed
from engine.core.method import View
from engine.run import step_loop
from engine.run.stages.quantization.views import PER_BLOCK, Looks, viewed_event
from tests.run.toy_runs import BLOCKS, RECIPE, begun, of, only_the_toy, work


class Shown:
    """A machine that counts how often it is looked at."""

    def __init__(self, total):
        self.total_steps, self.looks = total, 0

    def views(self):
        self.looks += 1
        return (View(form="path", what="it", arrays={}),)


def test_a_long_machine_is_looked_at_a_few_times_first_and_last_among_them(monkeypatch):
    monkeypatch.setattr(step_loop.Thinned, "is_due", lambda self: True)
    machine = Shown(5000)
    looks = Looks(machine)
    seen = [step for step in range(1, 5001) if looks.after(step)]
    assert seen[0] == 1
    assert seen[-1] == 5000
    assert len(seen) == machine.looks <= PER_BLOCK + 2


def test_a_fast_machine_is_not_looked_at_more_often_than_a_screen_needs(monkeypatch):
    monkeypatch.setattr(step_loop.Thinned, "is_due", lambda self: False)
    looks = Looks(Shown(1000))
    assert [step for step in range(1, 1001) if looks.after(step)] == [1, 1000]


def test_a_machine_of_few_steps_is_looked_at_after_each(monkeypatch):
    monkeypatch.setattr(step_loop.Thinned, "is_due", lambda self: False)
    looks = Looks(Shown(32))
    assert [step for step in range(1, 33) if looks.after(step)] == [*range(1, 33)]


def test_a_machine_that_cannot_be_looked_at_is_left_alone():
    machine = Shown(3)
    machine.views = None
    assert not Looks(machine).after(1)


def test_what_is_not_a_number_is_sent_as_nothing():
    arrays = {"x": torch.tensor([1.0, torch.nan, torch.inf, 1.23456789])}
    event = viewed_event(
        View(form="path", what="it", arrays=arrays, values={"y": float("nan")}), "b", 7
    )
    line = json.loads(event.to_json())
    assert line["arrays"] == {"x": [1.0, None, None, 1.235]}
    assert (line["values"], line["step"], line["part"]) == ({}, 7, "b")


@pytest.mark.parametrize(("name", "form"), [("genie-m", "soft-rounding"), ("lq-nets", "levels")])
def test_every_block_of_a_run_can_be_seen(monkeypatch, tmp_path, name, form):
    only_the_toy(monkeypatch, tmp_path)
    settings = RECIPE.quantization_settings if name == "genie-m" else {}
    recipe = replace(RECIPE, quantization=name, quantization_settings=settings)
    folder = begun(tmp_path / "runs", recipe)
    result = work(folder)
    seen = of(folder, Viewed)
    assert len({event.part for event in seen if event.form == form}) == BLOCKS
    codes = {event.what: event for event in seen if event.form == "codes"}
    assert set(codes) == {layer["path"] for layer in result["layers"]}
    for event in codes.values():
        assert sum(event.arrays["taken"]) == pytest.approx(1, abs=1e-2)
        assert sum(event.arrays["floats"]) == pytest.approx(1, abs=1e-2)
        assert all(len(array) <= 128 for array in event.arrays.values())
