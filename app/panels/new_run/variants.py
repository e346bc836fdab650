"""What a New run dialog is opened with from a run: its recipe, or that with one thing changed."""

from typing import Any

from app.panels.new_run.draft import recipe_fields
from engine.run.recipes.recipe import Recipe


def same_recipe(recipe: Recipe) -> dict[str, Any]:
    """The run's own recipe, to be changed in the dialog."""
    return recipe_fields(recipe)


def another_seed(recipe: Recipe) -> dict[str, Any]:
    """The same recipe with the next seed."""
    return recipe_fields(recipe) | {"seed": recipe.seed + 1}
