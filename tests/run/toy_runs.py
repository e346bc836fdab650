"""Whole runs of a tiny network in this process: what a worker does, without the process."""

from dataclasses import replace

import torch
from safetensors.torch import load_file, save_file

from engine.core.events import RunFailed, Stepped
from engine.models.cards.sources import discover_cards
from engine.run import context
from engine.run.folders import control
from engine.run.folders.folder import RunFolder
from engine.run.recipes.recipe import Recipe
from engine.run.workers import worker
from tests.contracts.nets import TinyResNet, ready

IMAGES, STEPS, QUANT_STEPS, BLOCKS = 8, 5, 4, 4
RECIPE = Recipe(
    model="toy", synthesis="genie", quantization="genie-m", weight_bits=3, activation_bits=4,
    images=IMAGES, synthesis_settings={"steps": STEPS, "batch": 4},
    quantization_settings={"steps": QUANT_STEPS, "batch": 4},
)  # fmt: skip


def only_the_toy(monkeypatch, folder, network=TinyResNet):
    """A card of a tiny network is all that there is."""
    save_file(ready(network()).state_dict(), folder / "toy.safetensors")
    card = replace(
        discover_cards()["resnet20-fashion"],
        name="toy", image_shape=(3, 8, 8), mean=(0.5,) * 3, std=(0.5,) * 3, resize=8,
        build=network, weights=lambda: folder / "toy.safetensors", classes=(), test=None,
        calibration=None,
    )  # fmt: skip
    monkeypatch.setattr(context, "find_card", lambda name, settings, networks=None: card)
    monkeypatch.setattr("engine.core.device.choose", lambda: torch.device("cpu"))


def begun(runs, recipe=RECIPE):
    runs.mkdir(exist_ok=True)
    return RunFolder.create(runs, recipe)


def work(folder):
    """What a worker process does, without the process; the result, or the failure."""
    control.write_wish(folder.path, control.Wish())
    before = len(list(folder.events()))
    code = worker.run(folder)
    new = [event for _, event in folder.events()][before:]
    failures = [event for event in new if isinstance(event, RunFailed)]
    assert (code == 1) is bool(failures)
    return failures[0] if failures else folder.result()


def of(folder, kind):
    return [event for _, event in folder.events() if isinstance(event, kind)]


def made(folder):
    """Every image, code and scale of a run, by file and name."""
    files = [*folder.path.glob("images-*.safetensors"), *folder.path.glob("blocks/*.safetensors")]
    assert len(files) == 2 + BLOCKS
    return {(f.name, key): value for f in files for key, value in load_file(f).items()}


def assert_same(a, b):
    a, b = made(a), made(b)
    assert a.keys() == b.keys()
    assert [key for key in a if not torch.equal(a[key], b[key])] == []


def break_at(monkeypatch, condition, act):
    """Do something as soon as an event is written that meets the condition."""
    append, done = RunFolder.append, []

    def spy(self, event):
        append(self, event)
        if not done and condition(event):
            done.append(event)
            act(self)

    monkeypatch.setattr(RunFolder, "append", spy)


def wish_cancel(folder):
    control.write_wish(folder.path, control.Wish(state="cancel"))


def in_stage(stage, step):
    return lambda event: isinstance(event, Stepped) and (event.stage, event.step) == (stage, step)


def rounded_at(bits, monkeypatch, place):
    """The toy's finished run, every weight rounded to the nearest of so many bits."""
    only_the_toy(monkeypatch, place)
    recipe = replace(RECIPE, quantization="nearest", weight_bits=bits, quantization_settings={})
    folder = begun(place / "runs", recipe)
    work(folder)
    return folder
