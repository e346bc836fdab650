"""What a run is, told by what differs from the run that it is most like."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from app.choices import load_catalog, title_of
from app.words import EDGES, EFFORTS
from engine.core.errors import UserError
from engine.run.folders.folder import RunFolder
from engine.run.recipes.recipe import Recipe, find

METHODS = ("synthesis", "quantization")
_APART = 4  # differences from which on two runs are no longer told by each other
_SKIPPED = ("contents", "preset", "forked_from")


def told_differences(runs: Sequence[RunFolder]) -> dict[str, str]:
    """A phrase for each run, by its id: against its parent, else against the older run that it is most like.

    Empty for a run that is like none: its network, methods and bits say what it is.
    """
    recipes = {run.run_id: run.recipe for run in runs}
    told = {}
    for place, run in enumerate(runs):  # the newest first
        recipe = recipes[run.run_id]
        parent, _, step = recipe.forked_from.partition("@")
        if parent:
            base = recipes.get(parent)
            words = differences(base, recipe) if base else []
            told[run.run_id] = ", ".join([f"forked at step {step}", *words])
            continue
        older = [recipes[other.run_id] for other in runs[place + 1 :]]
        told[run.run_id] = ", ".join(_against_nearest(recipe, older))
    return told


def _against_nearest(recipe: Recipe, older: Sequence[Recipe]) -> list[str]:
    alike = [one for one in older if one.model == recipe.model and not one.forked_from]
    found = [words for one in alike if (words := differences(one, recipe))]
    best = min(found, key=len, default=[])
    return best if len(best) <= _APART else []


def differences(base: Recipe, other: Recipe) -> list[str]:
    """What the other recipe has otherwise, in words; a method's settings only where both have the method."""
    return [*_fields(base, other), *_settings(base, other)]


def _fields(base: Recipe, other: Recipe) -> Iterator[str]:
    one, two = (dataclasses.asdict(recipe) for recipe in (base, other))
    if (one["weight_bits"], one["activation_bits"]) != (two["weight_bits"], two["activation_bits"]):
        yield f"W{two['weight_bits']}A{two['activation_bits']}"
    for kind in ("models", *METHODS):
        field = "model" if kind == "models" else kind
        if one[field] != two[field]:
            yield title_of(kind, two[field])
    if one["images"] != two["images"]:
        yield f"{two['images']} images"
    if one["seed"] != two["seed"]:
        yield f"seed {two['seed']}"
    if one["edge_rule"] != two["edge_rule"]:
        yield f"8 bits: {EDGES[two['edge_rule']].lower()}"
    for name, words in (("data", "other test images"), ("weights", "other weights")):
        if one[name] != two[name]:
            yield words
    if base.preset != other.preset and any(
        one[f"{kind}_settings"] != two[f"{kind}_settings"] for kind in METHODS
    ):
        yield EFFORTS.get(other.preset, other.preset).lower()


def _settings(base: Recipe, other: Recipe) -> Iterator[str]:
    if base.preset != other.preset:  # the effort says it
        return
    for kind in METHODS:
        if getattr(base, kind) != getattr(other, kind):
            continue
        one, two = (getattr(recipe, f"{kind}_settings") for recipe in (base, other))
        known = _knobs(kind, getattr(other, kind))
        for name in sorted({*one, *two}):
            if one.get(name) != two.get(name):
                yield _setting(known.get(name, {}), name, two.get(name))


def _setting(knob: Mapping[str, Any], name: str, value: Any) -> str:
    label = str(knob.get("label", name.replace("_", " ")))
    if value is None:
        return f"without {label.lower()}"
    if value is False or (value in knob.get("off", ()) and value not in ("", True)):
        return f"without {label[0].lower()}{label[1:]}"
    if value is True:
        return f"with {label[0].lower()}{label[1:]}"
    return (
        f"{label[0].lower()}{label[1:]} {value:g}"
        if isinstance(value, float)
        else (f"{label[0].lower()}{label[1:]} {value}")
    )


def _knobs(kind: str, name: str) -> dict[str, Mapping[str, Any]]:
    try:
        return {knob["name"]: knob for knob in find(load_catalog(), kind, name)["settings"]}
    except (UserError, RuntimeError, OSError):
        return {}
