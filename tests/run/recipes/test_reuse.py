"""Images that another run has made are taken over, and only those that are the same."""

from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save_file

from engine.core.events import Noted, SnapshotSaved, StageFinished, StageStarted, Stepped
from engine.run.folders.folder import RunFolder
from engine.run.recipes.recipe import Recipe
from engine.run.stages.synthesis.reuse import find_images, take_over

RECIPE = Recipe(
    model="toy",
    synthesis="dream",
    quantization="nearest",
    synthesis_settings={"steps": 2},
    images=4,
)


@pytest.fixture
def made(tmp_path):
    """A run whose synthesis is finished, and whose quantization has begun."""
    folder = RunFolder.create(tmp_path, RECIPE)
    save_file({"images": np.ones((4, 3, 2, 2), np.float32)}, folder.path / "images-000.safetensors")
    folder.snapshot("images-000001.webp").write_bytes(b"picture")
    folder.append(StageStarted(stage="synthesis", total_steps=2))
    folder.append(Stepped(stage="synthesis", part="batch 1", step=1, losses={"batchnorm": 1.0}))
    folder.append(
        SnapshotSaved(stage="synthesis", step=1, name="images", file="images-000001.webp")
    )
    folder.append(StageFinished(stage="synthesis", seconds=3.0))
    folder.append(StageStarted(stage="quantization", total_steps=5))
    return folder


@pytest.mark.parametrize(
    "other",
    [{"weight_bits": 2}, {"activation_bits": 8}, {"quantization": "genie-m"}, {"edge_rule": "all"},
     {"quantization_settings": {"steps": 3}}, {"data": "/x"}],
)  # fmt: skip
def test_another_quantizer_uses_the_same_images(made, other):
    recipe = replace(RECIPE, **other)
    folder = RunFolder.create(made.path.parent, recipe)
    found = find_images(recipe, folder)
    assert found is not None
    assert found.path == made.path


@pytest.mark.parametrize(
    "other",
    [{"seed": 1}, {"images": 5}, {"synthesis": "noise"}, {"synthesis_settings": {"steps": 3}},
     {"model": "other"}, {"model_settings": {"mean": [0.1]}}, {"contents": {"weights": "abc"}}],
)  # fmt: skip
def test_other_images_are_not_taken(made, other):
    recipe = replace(RECIPE, **other)
    assert find_images(recipe, RunFolder.create(made.path.parent, recipe)) is None


def test_unfinished_images_are_not_taken(made):
    lines = made.events_file.read_text().splitlines(keepends=True)
    made.events_file.write_text("".join(line for line in lines if "stage-finished" not in line))
    recipe = replace(RECIPE, weight_bits=2)
    assert find_images(recipe, RunFolder.create(made.path.parent, recipe)) is None


def test_a_run_that_has_images_of_its_own_keeps_them(made):
    recipe = replace(RECIPE, weight_bits=2)
    folder = RunFolder.create(made.path.parent, recipe)
    (folder.path / "images-000.safetensors").write_bytes(b"mine")
    assert find_images(recipe, folder) is None


def test_a_neighbour_with_a_torn_recipe_is_passed_over(made):
    torn = made.path.parent / "torn"
    torn.mkdir()
    (torn / "recipe.json").write_text("{")
    recipe = replace(RECIPE, weight_bits=2)
    assert find_images(recipe, RunFolder.create(made.path.parent, recipe)) is not None


def test_the_film_the_images_and_the_events_come_along_and_it_is_said(made):
    folder = RunFolder.create(made.path.parent, replace(RECIPE, weight_bits=2))
    events = list(take_over(made, folder))
    assert isinstance(events[0], Noted)
    assert made.run_id in events[0].message
    assert [type(e) for e in events[1:]] == [StageStarted, Stepped, SnapshotSaved, StageFinished]
    assert folder.snapshot("images-000001.webp").read_bytes() == b"picture"
    name = "images-000.safetensors"
    assert (folder.path / name).read_bytes() == (made.path / name).read_bytes()
