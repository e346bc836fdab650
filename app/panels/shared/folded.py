"""A part of a page that is drawn when somebody opens it: what is closed takes no time."""

from typing import Any

import streamlit as st


def folded(title: str, *, key: str, icon: str | None = None) -> Any | None:
    """The open part, to be drawn into; None while it is closed."""
    more = st.expander(title, icon=icon, key=key, on_change="rerun")
    return more if more.open else None
