"""A method in a few steps, to see how long one takes: its other settings stay."""

from dataclasses import asdict

import pytest

from engine.core.method import describe
from engine.quantization import discover_methods

METHODS = discover_methods()


@pytest.mark.parametrize("name", METHODS)
def test_in_few_steps_each_knob_of_steps_is_bounded_and_no_other_is_changed(name):
    settings = METHODS[name].Settings
    method = METHODS[name](
        settings(**{k["name"]: k["presets"]["quick"] for k in describe(settings)})
    )
    before, after = asdict(method.settings), asdict(method.at_most(3).settings)
    assert before.keys() == after.keys()
    for knob, value in before.items():
        steps = knob == "steps" or knob.endswith("_steps")
        assert after[knob] == (min(value, 3) if steps else value), knob
    assert method.at_most(3).steps_of_the_whole() <= 3
