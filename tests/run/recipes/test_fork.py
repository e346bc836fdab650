"""Forks: two futures of one run, from the same state."""

import json
import threading
import time
from dataclasses import asdict, replace

import pytest
import torch

from engine.core.errors import UserError
from engine.core.events import Noted, Stepped
from engine.core.sampling.randomness import stream
from engine.run import fork as forks
from engine.run.catalog import collect
from engine.run.context import make_context
from engine.run.folders.control import CHECKPOINT_MARK, Control, Wish, write_wish
from engine.run.folders.folder import RunFolder
from engine.run.folders.owner import HOST, owner_of
from engine.run.recipes.recipe import Recipe, find
from engine.run.stages.synthesis.synthesise import load_images
from engine.run.workers import launch
from engine.run.workers.worker import run
from engine.synthesis.base import Request
from engine.synthesis.methods.genie import Genie, GenieSettings
from tests.run.toy_runs import IMAGES, RECIPE, STEPS, begun, made, of, only_the_toy, work

PAUSED_AT = 3


@pytest.fixture(scope="module")
def catalog():
    return collect()


@pytest.fixture
def paused(tmp_path, monkeypatch):
    """A toy run that waits behind its third step of five of its first batch, and then goes away."""
    only_the_toy(monkeypatch, tmp_path)
    monkeypatch.setattr(launch, "start", lambda recipe, runs: RunFolder.create(runs, recipe))
    folder = begun(tmp_path / "runs", with_every_setting(RECIPE))
    thread = threading.Thread(target=lambda: run(folder), daemon=True)
    write_wish(folder.path, Wish(state="pause"))
    thread.start()
    try:
        until(lambda: state(folder) == "paused@0")
        write_wish(folder.path, Wish(state="pause", steps=PAUSED_AT))
        until(lambda: state(folder) == f"paused@{PAUSED_AT}")
        yield folder
    finally:
        write_wish(folder.path, Wish(state="cancel"))
        thread.join(20)


def until(condition):
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.01)


def with_every_setting(recipe):
    settings = asdict(GenieSettings(**recipe.synthesis_settings))
    return replace(recipe, synthesis_settings=settings)


def state(folder):
    if not (folder.path / CHECKPOINT_MARK).exists():
        return ""
    mark = json.loads((folder.path / CHECKPOINT_MARK).read_text())
    return f"{folder.status()['state']}@{mark['step']}"


def test_a_pause_is_saved_and_can_be_forked(paused):
    assert state(paused) == "paused@3"
    assert forks.can_fork(paused)


def test_the_fork_goes_on_from_the_very_state_with_its_own_settings(paused, catalog):
    other = forks.fork(paused, {"image_weight": 0.0}, catalog)
    assert other.run_id != paused.run_id
    assert other.recipe.forked_from == f"{paused.run_id}@{PAUSED_AT}"
    assert [e.step for e in of(other, Stepped)] == [1, 2, 3][: len(of(other, Stepped))]
    assert f"at step {PAUSED_AT}, with image_weight = 0.0" in of(other, Noted)[0].message
    checkpoint = torch.load(other.path / "checkpoint", weights_only=True)
    write_wish(paused.path, Wish(state="cancel"))
    assert work(other) is not None
    images = made(other)[("images-000.safetensors", "images")]
    assert torch.equal(images, continued_by_hand(other, checkpoint))


def test_a_fork_is_its_makers_and_somebody_elses_is_left_alone(paused, catalog):
    other = forks.fork(paused, {"image_weight": 0.0}, catalog, owner="ben")
    assert (owner_of(other.path), owner_of(paused.path)) == ("ben", HOST)
    with pytest.raises(UserError, match="is there already"):
        forks.fork(paused, {"image_weight": 0.0}, catalog, owner="anna")
    assert forks.fork(paused, {"image_weight": 0.0}, catalog, owner="ben").run_id == other.run_id
    assert owner_of(forks.fork(paused, {"image_weight": 0.5}, catalog).path) == HOST


def continued_by_hand(folder, checkpoint):
    """The fork's first batch, from the checkpoint on, without any of the run's machinery."""
    context = make_context(folder.recipe, folder, Control(folder.path), torch.device("cpu"))
    assert len(load_images(context)) == IMAGES
    machine = Genie(
        Request(
            teacher=context.teacher, stored=context.stored, rng=stream(0, "another"),
            settings=GenieSettings(**folder.recipe.synthesis_settings), shape=(4, 3, 8, 8),
            mean=context.card.mean, std=context.card.std,
        )
    )  # fmt: skip
    machine.load_state_dict(checkpoint["machine"])
    for _ in range(STEPS - PAUSED_AT):
        machine.step()
    return machine.images()


def saved_again(folder, step, key="synthesis/0"):
    """What a worker does every few seconds, as it leaves the folder."""
    state = torch.load(folder.path / "checkpoint", weights_only=True)
    torch.save(state | {"key": key, "step": step}, folder.path / "other")
    (folder.path / "other").replace(folder.path / "checkpoint")
    (folder.path / CHECKPOINT_MARK).write_text(json.dumps({"key": key, "step": step}))


def while_the_mark_is_read(monkeypatch, happens):
    """`happens(n)` right behind the n-th look at the source's mark."""
    look, seen = forks._mark, []

    def mark(source):
        found = look(source)
        seen.append(found)
        happens(len(seen))
        return found

    monkeypatch.setattr(forks, "_mark", mark)


def test_a_worker_that_saves_meanwhile_does_not_mix_two_states(paused, catalog, monkeypatch):
    """Checkpoint, mark and name are of one step, the later one."""
    while_the_mark_is_read(monkeypatch, lambda n: saved_again(paused, 4) if n == 1 else None)
    other = forks.fork(paused, {"image_weight": 0.0}, catalog)
    assert torch.load(other.path / "checkpoint", weights_only=True)["step"] == 4
    assert json.loads((other.path / CHECKPOINT_MARK).read_text())["step"] == 4
    assert other.recipe.forked_from == f"{paused.run_id}@4"
    assert len(list(paused.path.parent.glob("*/recipe.json"))) == 2


def test_a_state_that_never_holds_still_is_refused(paused, catalog, monkeypatch):
    while_the_mark_is_read(monkeypatch, lambda n: saved_again(paused, n))
    with pytest.raises(UserError, match=f"{paused.run_id}.*pause it"):
        forks.fork(paused, {"image_weight": 0.0}, catalog)
    assert len(list(paused.path.parent.glob("*/recipe.json"))) == 1


def test_a_batch_that_is_finished_meanwhile_is_not_the_fork_s(paused, catalog):
    """It holds images of the old settings, where the fork has still to make its own."""
    saved_again(paused, 2, key="synthesis/1")
    for number in (0, 1):
        (paused.path / f"images-{number:03d}.safetensors").write_bytes(b"x")
        (paused.path / f"memory-{number:03d}.pt").write_bytes(b"x")
    other = forks.fork(paused, {"image_weight": 0.0}, catalog)
    taken = {file.name for kind in ("images", "memory") for file in other.path.glob(f"{kind}-*")}
    assert taken == {"images-000.safetensors", "memory-000.pt"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [({}, "needs a setting that differs"), ({"steps": 9}, "synthesis.steps cannot change"),
     ({"stretch": True}, "synthesis.stretch cannot change in a fork; start a new run"),
     ({"swang": True}, "is not a setting here"), ({"image_weight": -1}, "must lie between")],
)  # fmt: skip
def test_what_cannot_be_forked_is_told(paused, catalog, changes, says):
    with pytest.raises(UserError, match=says):
        forks.fork(paused, changes, catalog)
    assert len(list(paused.path.parent.glob("*/recipe.json"))) == 1


def test_what_a_method_declares_fixed_is_not_offered(catalog):
    genie = find(catalog, "synthesis", "genie")["settings"]
    fixed = [knob["name"] for knob in genie if not forks.can_change(knob)]
    assert fixed == ["steps", "batch", "optimise", "generator", "stretch"]


def test_a_run_that_is_not_in_its_synthesis_cannot_be_forked(tmp_path, catalog):
    folder = begun(tmp_path / "runs")
    assert not forks.can_fork(folder)
    with pytest.raises(UserError, match="not in the middle of its synthesis"):
        forks.fork(folder, {"image_weight": 0.0}, catalog)


@pytest.mark.parametrize(("status", "says"), [
    (("running", "synthesis"), "pause it with `python -m engine pause RUN`, then fork it"),
    (("cancelled", "synthesis"), "`python -m engine resume RUN` and pause it there, then fork it"),
    (("running", "quantization"), "start a new run with the setting that differs"),
])  # fmt: skip
def test_the_way_out_is_to_pause_as_long_as_images_are_made(tmp_path, catalog, status, says):
    folder = begun(tmp_path / "runs")
    folder.write_status(status[0], stage=status[1])
    with pytest.raises(UserError, match="not in the middle") as refused:
        forks.fork(folder, {"image_weight": 0.0}, catalog)
    assert says.replace("RUN", folder.run_id) in str(refused.value)


def test_the_fork_is_part_of_a_recipes_name():
    recipe = Recipe(model="resnet20-fashion", synthesis="genie", quantization="genie-m")
    assert recipe.run_id == Recipe(**{**asdict(recipe), "forked_from": ""}).run_id
    assert recipe.run_id != Recipe(**{**asdict(recipe), "forked_from": "a@3"}).run_id
