"""The recipe of a run with one thing changed. Imports no torch."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from engine.analysis.doctor.finding import Change
from engine.core.errors import UserError
from engine.run.recipes.layer_bits import CHOOSES_ITSELF, plain_settings
from engine.run.recipes.layer_bits import SETTING as BITS
from engine.run.recipes.left_out import SETTING as LEAVE_OUT
from engine.run.recipes.left_out import left_out, places_kept
from engine.run.recipes.recipe import Recipe, find, settings_at


def changed(recipe: Recipe, change: Change, catalog: Mapping[str, Any] | None = None) -> Recipe:
    """The same recipe but for the change; UserError where its quantizer cannot be given it.

    catalog: see `engine.run.catalog`; needed where the quantizer itself is another, for that one's settings.
    `leave_out` counts the images that the run was calibrated on, as the doctor does.
    """
    given = dict(recipe.quantization_settings) | dict(change.quantization_settings)
    if change.quantization:
        given = _of_other(recipe, change.quantization, given, catalog)
    if change.weight_bits or change.activation_bits:
        if recipe.quantization in CHOOSES_ITSELF:
            raise UserError(
                f"quantization {recipe.quantization!r} chooses each layer's bits itself; give its rounding "
                "(quantization.rounding) the bits of this run, and change those"
            )
        given[BITS] = _bits(given.get(BITS) or {}, change)
    if change.leave_out:
        kept = places_kept(recipe.quantization_settings, recipe.images)
        more = [kept[place] for place in change.leave_out]
        given[LEAVE_OUT] = left_out([*(given.get(LEAVE_OUT) or ()), *more], recipe.images)
    return replace(
        recipe,
        quantization=change.quantization or recipe.quantization,
        quantization_settings=given,
        synthesis_settings=recipe.synthesis_settings | dict(change.synthesis_settings),
        model_settings=recipe.model_settings | dict(change.model_settings),
        images=change.images or recipe.images,
    )


def _bits(before: Mapping[str, Mapping[str, int]], change: Change) -> dict[str, dict[str, int]]:
    return {
        "weight_bits": dict(before.get("weight_bits", {})) | dict(change.weight_bits),
        "activation_bits": dict(before.get("activation_bits", {})) | dict(change.activation_bits),
    }


def _of_other(
    recipe: Recipe, quantization: str, given: dict[str, Any], catalog: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The settings of another quantizer: what both have stays as it is."""
    own = {name: given[name] for name in (BITS, LEAVE_OUT) if name in given}
    if catalog is None:
        return plain_settings(given) | own
    knobs = find(dict(catalog), "quantization", quantization)["settings"]
    known = {knob["name"] for knob in knobs}
    same = {name: value for name, value in plain_settings(given).items() if name in known}
    return settings_at(recipe.preset, {"presets": {}}, "quantization", knobs, same) | own
