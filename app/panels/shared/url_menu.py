"""A menu whose choice is in the address by its name, whatever title it is shown with.

Streamlit's own `bind="query-params"` writes the title, which no script could guess.
"""

from collections.abc import Mapping
from typing import Any

import streamlit as st


def menu(
    label: str, titles: Mapping[str, str], name: str, *, asked: str | None = None, **more: Any
) -> str:
    """The chosen name out of `titles`; the first where the address, or `asked`, names none of them."""
    return str(st.selectbox(label, list(titles), **_bound(titles, name, asked), **more))


def buttons(label: str, titles: Mapping[str, str], name: str, **more: Any) -> str:
    """The same as a row of buttons."""
    bound = _bound(titles, name)
    return str(st.segmented_control(label, list(titles), required=True, **bound, **more))


def _bound(titles: Mapping[str, str], name: str, asked: str | None = None) -> dict[str, Any]:
    """The address decides; a choice writes the address before the page is run again."""
    key = f"menu-{name}"
    first = next(iter(titles), "")
    asked = st.query_params.get(name, first) if asked is None else asked
    st.session_state[key] = asked if asked in titles else first

    def write() -> None:
        chosen = st.session_state[key]
        if chosen is not None and chosen not in titles:  # a title that has changed since
            return
        if chosen in (None, first):
            st.query_params.pop(name, None)
        else:
            st.query_params[name] = chosen

    return {"key": key, "on_change": write, "format_func": lambda one: titles.get(one, one)}
