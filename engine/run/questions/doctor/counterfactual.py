"""The recipe of a run with one thing changed. Imports no torch."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from engine.analysis.doctor.finding import Change
from engine.core.errors import UserError
from engine.run.recipes.budgets import settings_at
from engine.run.recipes.layer_bits import CHOOSES_ITSELF, plain_settings
from engine.run.recipes.layer_bits import SETTING as BITS
from engine.run.recipes.left_out_images import SETTING as LEAVE_OUT
from engine.run.recipes.left_out_images import kept_indices, left_out
from engine.run.recipes.recipe import Recipe, find

_GRIDS = ("weight_range", "activation_range", "percentile", "equalise")
_PLAIN = ("nearest",)  # has no settings but those that all quantizers have: it keeps them


def changed(recipe: Recipe, change: Change, catalog: Mapping[str, Any] | None = None) -> Recipe:
    """The same recipe but for the change; UserError where its quantizer cannot be given it.

    catalog: see `engine.run.catalog`; needed where the method itself is another, for that one's settings.
    `leave_out` counts the images that the run was calibrated on, as the doctor does.
    """
    given = dict(recipe.quantization_settings) | dict(change.quantization_settings)
    if change.quantization:
        own = {name: given[name] for name in (BITS, LEAVE_OUT) if name in given}
        given = (
            _of_other(recipe, "quantization", change.quantization, plain_settings(given), catalog)
            | own
        )
    if change.weight_bits or change.activation_bits:
        if recipe.quantization in CHOOSES_ITSELF:
            raise UserError(
                f"quantization {recipe.quantization!r} chooses each layer's bits itself; give its rounding "
                "(quantization.rounding) the bits of this run, and change those"
            )
        given[BITS] = _bits(given.get(BITS) or {}, change)
    if change.leave_out:
        kept = kept_indices(recipe.quantization_settings, recipe.images)
        more = [kept[place] for place in change.leave_out]
        given[LEAVE_OUT] = left_out([*(given.get(LEAVE_OUT) or ()), *more], recipe.images)
    made = recipe.synthesis_settings
    if change.synthesis:
        made = _of_other(recipe, "synthesis", change.synthesis, made, catalog)
    return replace(
        recipe,
        quantization=change.quantization or recipe.quantization,
        quantization_settings=given,
        synthesis=change.synthesis or recipe.synthesis,
        synthesis_settings=made | dict(change.synthesis_settings),
        model_settings=recipe.model_settings | dict(change.model_settings),
        images=change.images or recipe.images,
    )


def _bits(before: Mapping[str, Mapping[str, int]], change: Change) -> dict[str, dict[str, int]]:
    return {
        "weight_bits": dict(before.get("weight_bits", {})) | dict(change.weight_bits),
        "activation_bits": dict(before.get("activation_bits", {})) | dict(change.activation_bits),
    }


def _of_other(
    recipe: Recipe,
    kind: str,
    method: str,
    given: Mapping[str, Any],
    catalog: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The settings of another method of the kind: grids stay as they are, all else is that method's own."""
    if catalog is None:
        return dict(given)
    model: dict[str, Any] = next(
        (one for one in catalog["models"] if one["name"] == recipe.model), {"presets": {}}
    )
    entry = find(dict(catalog), kind, method)
    known = {knob["name"] for knob in entry["settings"]}
    keeps = known if method in _PLAIN else known & set(_GRIDS)
    same = {name: value for name, value in given.items() if name in keeps}
    return settings_at(recipe.preset, model, kind, entry, same)
