"""What a run cannot do in its state: the message names what to do first, and after that it can."""

import dataclasses
import re
import threading
import time
from dataclasses import replace

import pytest

from engine.__main__ import main
from engine.core.errors import UserError
from engine.quantization.methods.genie_m import GenieM
from engine.run import catalog as catalog_module
from engine.run import fork as forks
from engine.run.catalog import _method_entry
from engine.run.folders.control import Wish, write_wish
from engine.run.folders.folder import ACTIVE, RunFolder
from engine.run.questions.costs.analyse import analyse
from engine.run.recipes.recipe import make_recipe
from engine.run.workers import launch
from engine.run.workers.worker import run
from engine.synthesis.methods.genie import Genie, GenieSettings
from engine.synthesis.methods.noise import Noise
from tests.run.toy_runs import RECIPE, begun, only_the_toy, work

CATALOG = {
    "models": [{"name": "toy", "settings": [], "presets": {}}],
    "synthesis": [_method_entry(cls) for cls in (Genie, Noise)],
    "quantization": [_method_entry(GenieM)],
}
PATIENCE_S = 60


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    only_the_toy(monkeypatch, tmp_path)
    monkeypatch.setattr(launch, "start", lambda recipe, runs: RunFolder.create(runs, recipe))
    monkeypatch.setattr(catalog_module, "load", lambda runs: CATALOG)


@pytest.fixture
def runs(tmp_path):
    return tmp_path / "runs"


@pytest.fixture
def slow(runs):
    """A run in a thread, in its synthesis, that takes a tenth of a second for each step."""
    settings = dataclasses.asdict(GenieSettings(steps=200, batch=8))
    folder = begun(runs, replace(RECIPE, synthesis_settings=settings))
    write_wish(folder.path, Wish(slow_s=0.1))
    thread = threading.Thread(target=lambda: run(folder), daemon=True)
    thread.start()
    until(lambda: folder.status().get("step", 0) > 0 or list(folder.events()))
    yield folder
    if folder.path.exists():
        write_wish(folder.path, Wish(state="cancel"))
    thread.join(PATIENCE_S)


def until(condition):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.01)


def refusal(act):
    with pytest.raises(UserError) as raised:
        act()
    assert "\n" not in str(raised.value)
    return str(raised.value)


def commands(text):
    """The commands of ours that a message names, as words."""
    return [found.split()[3:] for found in re.findall(r"`(python -m engine [^`]+)`", text)]


def test_a_run_that_is_not_there_can_be_found_in_the_list(runs, capsys):
    folder = begun(runs)
    text = refusal(lambda: RunFolder.open(runs, "nothing"))
    (words,) = commands(text)
    assert main([*words, "--runs", str(runs)]) == 0
    name = capsys.readouterr().out.splitlines()[1].split()[0]
    assert RunFolder.open(runs, name).path == folder.path


def test_a_name_that_is_none_says_what_names_hold(runs):
    text = refusal(lambda: RunFolder.open(runs, "../x"))
    assert "letters, digits, '.', '_' and '-'" in text
    with pytest.raises(UserError, match="is not in"):
        RunFolder.open(runs, "Az09._-")


def test_a_live_run_is_paused_and_then_forked(slow, capsys):
    text = refusal(lambda: forks.fork(slow, {"image_weight": 0.5}, CATALOG))
    (words,) = commands(text)
    assert main([*words, "--runs", str(slow.path.parent)]) == 0
    assert capsys.readouterr().out == "paused\n"
    assert forks.fork(slow, {"image_weight": 0.5}, CATALOG).recipe.forked_from
    for changes, way in (({}, "change one of"), ({"steps": 300}, "start a new run for that")):
        assert way in refusal(lambda changes=changes: forks.fork(slow, changes, CATALOG))
    wanted = dataclasses.asdict(slow.recipe)
    settings = wanted.pop("synthesis_settings") | {"steps": 300}
    assert make_recipe(CATALOG, **wanted, synthesis_settings=settings).run_id != slow.run_id


def test_a_live_run_is_cancelled_and_then_deleted(slow):
    assert "cancel it first" in refusal(slow.delete)
    launch.cancel(slow)
    until(lambda: slow.status()["state"] not in ACTIVE)
    slow.delete()
    assert not slow.path.exists()


def test_a_run_that_is_not_at_work_is_not_paused_but_resumed(runs, monkeypatch, capsys):
    folder = begun(runs)
    folder.write_status("cancelled")
    text = refusal(lambda: launch.pause(folder))
    (words,) = commands(text)
    assert main([*words, "--runs", str(runs)]) == 0
    assert "cancelled" in capsys.readouterr().out
    text = refusal(lambda: forks.fork(folder, {"image_weight": 0.5}, CATALOG))
    ((command, name),) = commands(text)
    assert (command, name) == ("resume", folder.run_id)
    resumed = []
    monkeypatch.setattr(launch, "_launch", resumed.append)
    launch.resume(RunFolder.open(runs, name))
    assert len(resumed) == 1


def test_a_finished_run_is_neither_resumed_nor_forked_but_started_anew(runs):
    folder = begun(runs, replace(RECIPE, synthesis="noise", synthesis_settings={}))
    unfinished = refusal(lambda: analyse(folder, 4))
    ((command, name),) = commands(unfinished)
    assert (command, name) == ("resume", folder.run_id)
    assert work(folder)
    assert analyse(folder, 4)["layers"]
    assert "another --seed" in refusal(lambda: launch.resume(folder))
    assert "start a new run" in refusal(lambda: forks.fork(folder, {}, CATALOG))
    wanted = dataclasses.asdict(folder.recipe) | {"seed": 1}
    assert work(begun(runs, make_recipe(CATALOG, **wanted)))
