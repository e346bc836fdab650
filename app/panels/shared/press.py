"""A button whose press is not lost where the page is drawn anew before it comes to the button."""

import time
from collections.abc import MutableMapping
from typing import Any

import streamlit as st

KEPT_S = 20.0  # a press that no button has come to by then belongs to a page that was left


def button(label: str, *, key: str, place: Any = st, **more: Any) -> bool:
    """Whether it was just pressed; place: where it stands. Takes what `st.button` takes but `on_click`.

    Streamlit tells of a press in one drawing of the page only, and gives that up for whatever is asked for
    meanwhile: by another press, or by a page that looks again. This remembers it until the button is drawn.
    """
    name = _mark(key)

    def pressed() -> None:
        st.session_state[name] = time.monotonic()

    place.button(label, key=key, on_click=pressed, **more)
    return _taken(st.session_state, name)


def forget_press(key: str) -> None:
    """Take back a press that no button has come to: what is drawn next under this key is another button."""
    st.session_state.pop(_mark(key), None)


def _mark(key: str) -> str:
    return f"pressed-{key}"


def _taken(state: MutableMapping[Any, Any], name: str) -> bool:
    at = state.pop(name, None)
    return at is not None and time.monotonic() - at < KEPT_S
