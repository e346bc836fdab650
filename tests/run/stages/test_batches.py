"""Batches that know of each other: what one remembers, the next uses, broken off or not."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from engine.core.events import Stepped
from engine.run.stages.synthesis import synthesise
from tests.run.toy_runs import (
    RECIPE,
    begun,
    break_at,
    in_stage,
    of,
    only_the_toy,
    wish_cancel,
    work,
)

STEPS, BATCH, BATCHES = 4, 4, 3
SHARING = replace(
    RECIPE,
    synthesis="intraq",
    quantization="nearest",
    images=BATCH * BATCHES,
    synthesis_settings={"steps": STEPS, "batch": BATCH},
    quantization_settings={},
)


@pytest.fixture(autouse=True)
def toy(monkeypatch, tmp_path):
    only_the_toy(monkeypatch, tmp_path)


@pytest.fixture
def straight(tmp_path):
    folder = begun(tmp_path / "straight", SHARING)
    assert "run" in work(folder)
    return folder


def parts(folder):
    return [load_file(file) for file in sorted(folder.path.glob("images-*.safetensors"))]


def same(a, b):
    return all(
        torch.equal(x[name], y[name])
        for x, y in zip(parts(a), parts(b), strict=True)
        for name in ("images", "labels")
    )


def test_what_is_remembered_reaches_the_next_batch_and_does_not_pile_up(straight):
    (last,) = straight.path.glob("memory-*.pt")
    assert last.name == f"memory-{BATCHES - 1:03d}.pt"
    memory = torch.load(last, weights_only=True)
    assert memory["counts"].sum() == BATCH * BATCHES
    first = [event for event in of(straight, Stepped) if event.part == "batch 1"]
    later = [event for event in of(straight, Stepped) if event.part == "batch 2"]
    assert "margin" not in first[0].losses
    assert "margin" in later[0].losses
    assert 0 <= first[0].values["teacher_share"] <= 1


def test_labels_are_kept_beside_the_images(straight):
    for part in parts(straight):
        assert part["labels"].dtype == torch.int64
        assert part["labels"].shape == (BATCH,)


@pytest.mark.parametrize("step", [STEPS, STEPS + 1, 2 * STEPS + 2])
def test_a_cancelled_run_remembers(straight, tmp_path, monkeypatch, step):
    folder = begun(tmp_path / "broken", SHARING)
    with monkeypatch.context() as patch:
        break_at(patch, in_stage("synthesis", step), wish_cancel)
        assert work(folder) is None
    assert work(folder)["run"] == folder.run_id
    assert same(straight, folder)


def test_a_batch_lost_after_its_memory_is_made_again_without_it(straight, tmp_path, monkeypatch):
    folder = begun(tmp_path / "broken", SHARING)
    write = synthesise.write_atomically

    def lose(file, content):
        if file.name == "images-001.safetensors":
            raise OSError("the power is gone")
        write(file, content)

    with monkeypatch.context() as patch:
        patch.setattr(synthesise, "write_atomically", lose)
        assert "the power is gone" in work(folder).message
    assert (folder.path / "memory-001.pt").exists()
    assert work(folder)["run"] == folder.run_id
    assert same(straight, folder)
