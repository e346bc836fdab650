"""What a widget begins with, told by the widget itself: not by the session, which tells it only once.

A value that is put into the session for a widget goes to the browser with one drawing of the page. If that is
given up, for a press or because the page looks again, the browser shows an empty widget, and sends that as if
it had been chosen.
"""

from typing import TypeVar

import streamlit as st

T = TypeVar("T")
KEY = "begins-as"


def begins_as(key: str, value: T) -> T:
    """The widget's first value, the same in every drawing; `value` where it is not there yet, or again."""
    known = st.session_state.setdefault(KEY, {})
    if key not in known or key not in st.session_state:
        known[key] = value
    first: T = known[key]
    return first
