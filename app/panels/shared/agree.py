"""Nothing that a typed path leads to is opened before a button is pressed: anybody can make a link."""

import streamlit as st

from app.panels.shared.press import button
from app.wording.words import plain


def agreed(paths: dict[str, str], *, key: str) -> bool:
    """Whether these files may be opened: there are none, or the button was pressed for just these."""
    if not paths or st.session_state.get(key) == paths:
        return True
    named = ", ".join(_code(text[:200].replace("\n", " ")) for text in paths.values())
    st.caption(f"Not opened yet: {named}")
    if not button("Look at these files", icon=":material/search:", key=f"{key}-look"):
        return False
    st.session_state[key] = paths
    return True


def _code(text: str) -> str:
    return plain(text) if "`" in text else f"`{text}`"
