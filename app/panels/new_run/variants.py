"""What a New run dialog is opened with from a run: its recipe, or that with one thing changed."""

from typing import Any

from app.panels.new_run.draft import recipe_fields
from engine.run.recipes.layer_bits import SETTING
from engine.run.recipes.recipe import Recipe


def same_recipe(recipe: Recipe) -> dict[str, Any]:
    """The run's own recipe, to be changed in the dialog."""
    return recipe_fields(recipe)


def another_seed(recipe: Recipe) -> dict[str, Any]:
    """The same recipe with the next seed."""
    return recipe_fields(recipe) | {"seed": recipe.seed + 1}


def layer_at(recipe: Recipe, layer: str, bits: int) -> dict[str, Any]:
    """The same recipe with one layer's weights at so many bits; what other layers were given stays."""
    fields = recipe_fields(recipe)
    given = fields["quantization_settings"].get(SETTING) or {}
    weights = dict(given.get("weight_bits") or {}) | {layer: bits}
    fields["quantization_settings"] |= {SETTING: given | {"weight_bits": weights}}
    return fields
