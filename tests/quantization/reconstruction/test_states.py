"""What a machine is resumed from: a state that lacks a part is refused, not taken in by half."""

import copy

import pytest
import torch

from engine.quantization import discover_methods
from engine.quantization.distillation.method import Distilled
from engine.quantization.reconstruction.phases import Phase, Phases
from tests.contracts.nets import budget, quantizing

METHODS = discover_methods()
DISTILLED = sorted(name for name, method in METHODS.items() if issubclass(method, Distilled))


def reconstruction():
    """AQuant's machine of a residual block: it has all that a block can learn, borders too."""
    method = METHODS["aquant"](budget(METHODS["aquant"].Settings, steps=4, batch=4))
    opened = list(zip(range(2), quantizing().machines(method), strict=False))[-1][1]
    phases = opened.machine
    return getattr(phases, "_machine", phases)


@pytest.mark.parametrize(
    "part", ["rounding", "weight_scales", "activation_scales", "also", "optimisers", "schedules"]
)
def test_a_block_is_not_resumed_from_a_state_that_lacks_a_part(part):
    machine = reconstruction()
    for _ in range(2):
        machine.step()
    state = copy.deepcopy(machine.state_dict())
    machine.load_state_dict(state)
    assert state[part]
    with pytest.raises(ValueError, match="zip"):
        machine.load_state_dict(state | {part: state[part][:-1]})


@pytest.mark.parametrize("name", DISTILLED)
def test_a_training_is_not_resumed_from_a_state_that_lacks_parameters(name):
    chosen = budget(METHODS[name].Settings, steps=4, batch=8)
    machine = quantizing().distiller(METHODS[name](chosen))
    machine.step()
    state = copy.deepcopy(machine.state_dict())
    machine.load_state_dict(state)
    with pytest.raises(ValueError, match="zip"):
        machine.load_state_dict(state | {"parameters": state["parameters"][:-1]})


class Counts:
    """A machine that counts its steps; how often it has begun and ended is seen from outside."""

    def __init__(self, name, log):
        self.name, self.log, self.done = name, log, 0
        log.append(f"{name} begins")

    def step(self):
        self.done += 1
        return {self.name: torch.tensor(float(self.done))}

    def state_dict(self):
        return {"done": self.done}

    def load_state_dict(self, state):
        self.done = state["done"]


def phases(log):
    def phase(name, steps):
        return Phase(
            steps=steps, begin=lambda: Counts(name, log), end=lambda: log.append(f"{name} ends")
        )

    return Phases([phase("a", 2), phase("none", 0), phase("b", 3), phase("c", 1)])


def test_phases_come_one_after_another_each_with_its_steps():
    log = []
    machine = phases(log)
    assert machine.total_steps == 6
    told = [{name: float(v) for name, v in machine.step().items()} for _ in range(6)]
    assert told == [{"a": 1}, {"a": 2}, {"b": 1}, {"b": 2}, {"b": 3}, {"c": 1}]
    assert log == ["a begins", "a ends", "b begins", "b ends", "c begins"]
    assert machine.flipped() == 0
    assert machine.views() == ()


@pytest.mark.parametrize("taken", range(7))
def test_phases_are_resumed_wherever_they_were_and_ended_ones_are_begun_and_ended_again(taken):
    straight, log = phases([]), []
    for _ in range(taken):
        straight.step()
    state = copy.deepcopy(straight.state_dict())
    resumed = phases(log)
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    assert log == straight._machine.log
    for _ in range(6 - taken):
        assert resumed.step() == straight.step()
    resumed.load_state_dict(resumed.state_dict())  # as many have ended: nothing is taken back
    if taken > 2:
        with pytest.raises(ValueError, match="cannot be taken back"):
            resumed.load_state_dict(phases([]).state_dict())
