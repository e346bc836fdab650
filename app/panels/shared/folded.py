"""A part of a page that is drawn when somebody opens it: what is closed takes no time."""

from collections.abc import Callable
from typing import Any

import streamlit as st


@st.fragment
def folded(
    title: str,
    draw: Callable[[], Any],
    *,
    key: str,
    icon: str | None = None,
    expanded: bool = False,
) -> None:
    """The part, closed until it is opened; `draw` puts into it what is there.

    To open it, and what is chosen inside, draws it alone: all else on the page stays as it is. What changes
    more than the part asks for the page itself (`st.rerun`).
    """
    more = st.expander(title, icon=icon, key=key, on_change="rerun", expanded=expanded)
    if more.open:
        with more:
            draw()
