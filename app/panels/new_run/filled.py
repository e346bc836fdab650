"""What a form of a recipe opens with: its widgets' values, put there before they are drawn."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from app.panels.new_run.knobs import knob_key, text_of
from app.presets import USUAL
from engine.core.errors import UserError
from engine.run.recipes.recipe import find, settings_at

KINDS = {"models": "model", "synthesis": "synthesis", "quantization": "quantization"}
NUMBERS = ("weight_bits", "activation_bits", "seed")
USUAL_NUMBERS = {"weight_bits": 4, "activation_bits": 4, "seed": 0}


def fill(catalog: dict[str, Any], wanted: Mapping[str, Any]) -> None:
    """Forget what was in the form before, and put these fields of a recipe into it.

    What is not in the catalog any more (a network that was removed) is left at what is usual.
    """
    state = st.session_state
    for key in [key for key in state if str(key).startswith(("form-", "knob-form-"))]:
        del state[key]
    for kind, field in KINDS.items():
        state[f"form-{field}"] = _known(catalog, kind, wanted.get(field), USUAL[field])
    state["form-preset"] = wanted.get("preset") or "quick"
    state["form-edge-rule"] = wanted.get("edge_rule") or "brecq"
    for name in NUMBERS:
        value = wanted.get(name)
        state[f"form-{name.replace('_', '-')}"] = USUAL_NUMBERS[name] if value is None else value
    for name in ("weights", "data"):
        state[f"form-{name}"] = str(wanted.get(name) or "")
    if wanted.get("images"):
        state[f"form-images-{state['form-model']}-{state['form-preset']}"] = int(wanted["images"])
    for kind, field in KINDS.items():
        if wanted.get(f"{field}_settings") and wanted.get(field) == state[f"form-{field}"]:
            _fill_settings(catalog, kind, field, dict(wanted[f"{field}_settings"]))


def _known(catalog: dict[str, Any], kind: str, name: Any, usual: str) -> str:
    able = [one["name"] for one in catalog[kind] if one.get("available", True)]
    return name if name in able else usual if usual in able else able[0]


def _fill_settings(catalog: dict[str, Any], kind: str, field: str, given: dict[str, Any]) -> None:
    state = st.session_state
    name = state[f"form-{field}"]
    entry = find(catalog, kind, name)
    base = base_of(kind, entry, find(catalog, "models", state["form-model"]), state["form-preset"])
    for knob in entry["settings"]:
        value = given.get(knob["name"])
        if value is not None and value != base.get(knob["name"]):
            key = knob_key(f"form-{kind}-{name}-{state['form-preset']}", knob["name"])
            state[key] = text_of(knob, value)


def base_of(kind: str, entry: dict[str, Any], model: dict[str, Any], preset: str) -> dict[str, Any]:
    """The values that settings have by the effort alone."""
    if kind == "models":
        return {knob["name"]: knob["presets"][preset] for knob in entry["settings"]}
    try:
        return settings_at(preset, model, kind, entry["settings"], {})
    except UserError:
        return {knob["name"]: knob["default"] for knob in entry["settings"]}
