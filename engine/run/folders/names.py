"""What may stand in a folder: a recipe that fits its name, a result that is one."""

import hashlib
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from engine.core.outside.reading import read_object
from engine.run.recipes.recipe import Recipe

# Of the first recipes, whose runs are named by these alone.
_FIRST_FIELDS = (
    "model", "synthesis", "quantization", "weight_bits", "activation_bits", "images", "seed", "edge_rule",
    "model_settings", "synthesis_settings", "quantization_settings", "weights", "data",
)  # fmt: skip


def read_recipe(file: Path) -> Recipe | None:
    """The recipe in the file; None where there is none, or it is of a newer version."""
    found = read_object(file)
    if found is None:
        return None
    kinds = {field.name: field.type for field in fields(Recipe)}
    if not all(name in kinds and _is_of(value, kinds[name]) for name, value in found.items()):
        return None
    try:
        return Recipe(**found)
    except TypeError:  # a field is missing
        return None


def _is_of(value: object, kind: Any) -> bool:
    origin = getattr(kind, "__origin__", kind)
    return isinstance(value, origin) and not (origin is int and isinstance(value, bool))


def is_result(found: dict[str, Any]) -> bool:
    """Whether an object is the result of a run, of any version."""
    kinds = {"seconds": dict, "size_bytes": dict, "layers": list}
    return "agreement" in found and all(
        isinstance(found.get(name), kind) for name, kind in kinds.items()
    )


def may_be_named(recipe: Recipe, name: str) -> bool:
    """Whether a folder of this name holds this recipe: by today's rule, or by that of the first runs."""
    if name == recipe.run_id:
        return True
    if recipe.contents or recipe.forked_from:
        return False
    content = {field: getattr(recipe, field) for field in _FIRST_FIELDS}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return name.endswith(f"_w{recipe.weight_bits}a{recipe.activation_bits}_{digest[:8]}")
