"""Every method of the catalogue can be chosen in the form, and what the form then says is a recipe."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from app.panels.new_run.draft import KINDS, open_draft
from engine.quantization import discover_methods as quantizers
from engine.run.catalog import collect
from engine.run.recipes.layer_bits import plain_settings
from engine.run.recipes.recipe import PRESETS, Recipe, find, make_recipe, refusal
from engine.synthesis import discover_methods as synthesisers
from tests.app.new_run.test_new_run import dialog

METHODS = [
    (kind, name)
    for kind, found in (("synthesis", synthesisers()), ("quantization", quantizers()))
    for name in found
]


@pytest.fixture(scope="module")
def catalog() -> dict[str, Any]:
    return collect()


def able(catalog: dict[str, Any], kind: str, name: str) -> Iterator[dict[str, Any]]:
    """The networks that the method can work on, in a form in which it can, as a draft is opened with them."""
    for model in catalog["models"]:
        for form in (None, *model.get("forms", {})):
            settings = {} if form is None else {"form": form}
            if not refusal(catalog, kind, name, model, {"calibration": "", "form": ""} | settings):
                yield {"model": model["name"], "model_settings": settings, kind: name}
                break


def with_folder(catalog: dict[str, Any], wanted: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The same with a folder, where the images are to come from one: the form asks for it."""
    settings = find(catalog, "synthesis", wanted.get("synthesis") or "noise")["settings"]
    if any(one["name"] == "folder" for one in settings):
        Image.new("RGB", (8, 8)).save(folder / "one.png")
        return wanted | {"synthesis_settings": {"folder": str(folder)}}
    return wanted


@pytest.mark.parametrize(("kind", "name"), METHODS)
def test_what_the_form_says_of_it_is_a_recipe_at_every_effort(
    catalog: dict[str, Any], kind: str, name: str, tmp_path: Path
) -> None:
    wanted = next(able(catalog, kind, name), None)
    assert wanted is not None
    for preset in PRESETS:
        filled = with_folder(catalog, wanted, tmp_path) | {"preset": preset}
        draft = open_draft(catalog, filled, 1)
        assert draft.wanted[kind] == name
        recipe = make_recipe(catalog, **draft.complete())
        assert (recipe.model, getattr(recipe, kind)) == (wanted["model"], name)
        built(recipe)


def built(recipe: Recipe) -> None:
    """The methods' settings take what a recipe has, and the quantizer finds no contradiction in them."""
    synthesisers()[recipe.synthesis].Settings(**plain_settings(recipe.synthesis_settings))
    quantizer = quantizers()[recipe.quantization]
    quantizer(quantizer.Settings(**plain_settings(recipe.quantization_settings)))


def test_the_menus_offer_every_method(
    catalog: dict[str, Any], runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("load", "last_known"):
        monkeypatch.setattr(f"engine.run.catalog.{name}", lambda runs: catalog)
    at = dialog()
    for kind in ("synthesis", "quantization"):
        offered = at.selectbox(key=f"new-1-{KINDS[kind]}").options
        for entry in catalog[kind]:
            if entry.get("available", True):
                assert any(one.startswith(entry["title"]) for one in offered), entry["name"]
    able_names = {name for _, name in METHODS}
    listed = {entry["name"] for kind in ("synthesis", "quantization") for entry in catalog[kind]}
    assert able_names <= listed
