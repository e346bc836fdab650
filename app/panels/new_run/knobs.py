"""Settings declared by a method, as widgets."""

from typing import Any

import streamlit as st

COLUMNS = 3


def knobs(settings: list[dict[str, Any]], base: dict[str, Any], *, key: str) -> dict[str, Any]:
    """A widget a setting; returns only what differs from `base`.

    A run of an older version lacks the settings that came later; there they stand at their defaults.
    """
    changed = {}
    columns = st.columns(COLUMNS, gap="medium")
    for place, knob in enumerate(settings):
        before = base.get(knob["name"], knob["default"])
        with columns[place % COLUMNS]:
            value = _widget(knob, before, f"knob-{key}-{knob['name']}")
        if value != before:
            changed[knob["name"]] = value
    return changed


def _widget(knob: dict[str, Any], value: Any, key: str) -> Any:
    label: str = knob["label"]
    more: dict[str, Any] = {"help": knob["help"] or None, "key": key}
    if knob["type"] == "bool":
        return st.toggle(label, value, **more)
    if knob["choices"]:
        return st.selectbox(label, knob["choices"], index=knob["choices"].index(value), **more)
    if knob["type"] == "int":
        return st.number_input(label, _int(knob["low"]), _int(knob["high"]), int(value), **more)
    if knob["type"] == "float":
        # Shown as text, not as a number with a step: rates like 4e-05 would be shown as 0.00.
        return _float(st.text_input(label, f"{value:g}", **more), value)
    if knob["type"] in ("tuple", "list"):
        return _list(st.text_input(label, ", ".join(f"{v:g}" for v in value), **more), value)
    return st.text_input(label, str(value), **more)


def _int(limit: float | None) -> int | None:
    return None if limit is None else int(limit)


def _float(text: str, value: float) -> Any:
    """The number in the text; equal text is equal value, and no number goes on to be refused."""
    if text == f"{value:g}":
        return value
    try:
        return float(text)
    except ValueError:
        return text


def _list(text: str, value: Any) -> Any:
    return value if text == ", ".join(f"{v:g}" for v in value) else text
