"""Settings declared by a method, as widgets; those that are changed are marked, and can be put back."""

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
            value = _widget(knob, before, knob_key(key, knob["name"]))
            if value != before:
                changed[knob["name"]] = value
                st.caption(f":orange[:material/edit: changed from {shown(before)}]")
    return changed


def knob_key(form: str, name: str) -> str:
    """The name of a setting's widget in the session."""
    return f"knob-{form}-{name}"


def changed_count(settings: list[dict[str, Any]], base: dict[str, Any], *, key: str) -> int:
    """How many settings stand at another value than the effort's, as far as their widgets were drawn."""
    state = st.session_state
    count = 0
    for knob in settings:
        before = base.get(knob["name"], knob["default"])
        now = state.get(knob_key(key, knob["name"]), text_of(knob, before))
        count += now != text_of(knob, before)
    return count


def put_back(settings: list[dict[str, Any]], *, key: str) -> None:
    """Let all settings be what the effort says."""
    for knob in settings:
        st.session_state.pop(knob_key(key, knob["name"]), None)


def text_of(knob: dict[str, Any], value: Any) -> Any:
    """The value as its widget holds it."""
    if knob["type"] == "bool" or knob["choices"]:
        return value
    if knob["type"] == "int":
        return int(value)
    if knob["type"] == "float":
        # As text, not as a number with a step: rates like 4e-05 would be shown as 0.00.
        return f"{value:g}" if isinstance(value, (int, float)) else str(value)
    if knob["type"] in ("tuple", "list"):
        return ", ".join(f"{v:g}" for v in value)
    return str(value)


def shown(value: Any) -> str:
    """A setting's value in words."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (tuple, list)):
        return ", ".join(f"{v:g}" for v in value)
    return str(value) or "nothing"


def _widget(knob: dict[str, Any], value: Any, key: str) -> Any:
    label: str = knob["label"]
    more: dict[str, Any] = {"help": knob["help"] or None, "key": key}
    if key in st.session_state:  # a widget whose value is there takes no other
        start: dict[str, Any] = {}
    elif knob["choices"]:
        start = {"index": knob["choices"].index(value)}
    else:
        start = {"value": text_of(knob, value)}
    if knob["type"] == "bool":
        return st.toggle(label, **start, **more)
    if knob["choices"]:
        return st.selectbox(label, knob["choices"], **start, **more)
    if knob["type"] == "int":
        return st.number_input(label, _int(knob["low"]), _int(knob["high"]), **start, **more)
    if knob["type"] == "float":
        return _float(st.text_input(label, **start, **more), value)
    if knob["type"] in ("tuple", "list"):
        text = st.text_input(label, **start, **more)
        return value if text == text_of(knob, value) else text
    return st.text_input(label, **start, **more)


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
