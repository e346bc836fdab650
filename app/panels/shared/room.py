"""Places kept free for what comes later, so that nothing on the page moves when it comes."""

from typing import Any

import streamlit as st

ROW_REM = 2.6  # of a row of buttons
NARROW_PX = (
    640  # below it Streamlit stacks columns: room for what may never come would push all away
)


def room(key: str, height_rem: float) -> Any:
    """A container that is as high as this from the start; more if it must be, and as it comes on a phone."""
    place = st.container(key=key)
    st.html(
        f"<style>@media (min-width: {NARROW_PX}px) "
        f"{{ .st-key-{key} {{ min-height: {height_rem}rem; }} }}</style>"
    )
    return place
