"""Settings declared by a method, as widgets; what was changed is marked, and goes back at a press."""

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from app.panels.new_run.value_words import value_words
from app.panels.shared.begins_as import begins_as

COLUMNS = 3
LEAST = -(2**31)  # of a whole number without a lower bound


def knobs(
    settings: list[dict[str, Any]],
    base: Mapping[str, Any],
    *,
    key: str,
    given: Mapping[str, Any] | None = None,
    title_of: Callable[[str, str], str] = value_words,
) -> dict[str, Any]:
    """A widget a setting, at first as `given` or else as in `base`; returns only what differs from `base`.

    `title_of` says a value of a menu in words, by the setting's name. A run of an older version lacks the
    settings that came later; there they stand at their defaults.
    """
    changed = {}
    columns = st.columns(COLUMNS, gap="medium")
    for place, knob in enumerate(settings):
        name = knob["name"]
        before = base.get(name, knob["default"])
        widget_key = f"knob-{key}-{name}"
        first = begins_as(widget_key, _shown(knob, (given or {}).get(name, before)))
        with columns[place % COLUMNS]:
            value = _widget(knob, before, first, widget_key, title_of)
            if value != before:
                changed[name] = value
                _way_back(knob, before, widget_key, title_of)
    return changed


def _way_back(
    knob: dict[str, Any], before: Any, key: str, title_of: Callable[[str, str], str]
) -> None:
    """The mark of a changed setting: a button that says what it was."""

    def reset() -> None:
        st.session_state[key] = _shown(knob, before)

    was = title_of(knob["name"], _words(knob, before))
    st.button(
        f":orange[changed] · back to {was or 'empty'}", key=f"{key}-reset", on_click=reset,
        type="tertiary", icon=":material/undo:",
    )  # fmt: skip


def _words(knob: dict[str, Any], value: Any) -> str:
    if knob["type"] == "bool":
        return "on" if value else "off"
    return str(_shown(knob, value))


def _shown(knob: dict[str, Any], value: Any) -> Any:
    """The value as its widget holds it."""
    if knob["type"] == "bool" or knob["choices"]:
        return value
    if knob["type"] == "int":
        return value if isinstance(value, str) else int(value)
    if isinstance(value, str):
        return value
    if knob["type"] == "float":
        # Shown as text, not as a number with a step: rates like 4e-05 would be shown as 0.00.
        return f"{value:g}"
    if knob["type"] in ("tuple", "list"):
        return ", ".join(f"{v:g}" for v in value)
    return str(value)


def _widget(
    knob: dict[str, Any], before: Any, first: Any, key: str, title_of: Callable[[str, str], str]
) -> Any:
    """The value that the setting has now; `first`: what its widget begins with."""
    label: str = knob["label"]
    more: dict[str, Any] = {"help": knob["help"] or None, "key": key}
    if knob["type"] == "bool":
        return st.toggle(label, first, **more)
    if knob["choices"]:
        words = lambda one: title_of(knob["name"], str(one))  # noqa: E731
        choices = list(knob["choices"])
        index = choices.index(first) if first in choices else 0
        return st.selectbox(label, choices, index, format_func=words, **more)
    if knob["type"] == "int":
        low = LEAST if knob["low"] is None else int(knob["low"])
        high = None if knob["high"] is None else int(knob["high"])
        return st.number_input(label, low, high, first, step=1, **more)
    text = st.text_input(label, first, **more)
    if text == _shown(knob, before):
        return before  # equal text is equal value
    return _number(text) if knob["type"] == "float" else text


def _number(text: str) -> Any:
    """The number in the text; no number goes on as it is, to be refused."""
    try:
        return float(text)
    except ValueError:
        return text
