"""Every quantization method goes through a whole tiny run, and its steps add up to those announced."""

from dataclasses import asdict, replace

import pytest

from engine.core.events import BlockStarted, StageStarted, Stepped
from engine.quantization import discover_methods
from tests.contracts.nets import TinyResNet, budget
from tests.run.toy_runs import RECIPE, begun, of, only_the_toy, work
from tests.toys import TinyViT

METHODS = discover_methods()


@pytest.mark.parametrize("network", [TinyResNet, TinyViT])
@pytest.mark.parametrize("name", METHODS)
def test_a_whole_run_ends_with_its_result(name, network, monkeypatch, tmp_path):
    only_the_toy(monkeypatch, tmp_path, network)
    settings = asdict(budget(METHODS[name].Settings, steps=2, batch=4))
    recipe = replace(
        RECIPE, synthesis="noise", synthesis_settings={}, quantization=name,
        quantization_settings=settings,
    )  # fmt: skip
    folder = begun(tmp_path / "runs", recipe)
    result = work(folder)
    assert result["quantization"] == name
    (announced,) = (e.total_steps for e in of(folder, StageStarted) if e.stage == "quantization")
    each = [event.total_steps for event in of(folder, BlockStarted)]
    assert sum(each) <= announced  # a method may take steps before its first block
    steps = [event.step for event in of(folder, Stepped) if event.stage == "quantization"]
    assert steps == sorted(steps)
    assert not steps or steps[-1] == announced
