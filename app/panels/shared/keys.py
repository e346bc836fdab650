"""Keys, where the app is shared: one's own to tell to others, and a place to give somebody else's."""

from pathlib import Path

import streamlit as st

from app.access import visitors
from app.access.sharing import sharing


def own_key() -> None:
    """The visitor's own key, and what it opens; nothing where the app is not shared."""
    key = visitors.own_key()
    if key and visitors.is_host():
        st.caption("This browser has given the host's key: every run is open to it.")
    elif key:
        st.caption(
            "What you start in this browser is yours: others may watch and fork it. "
            f"Who has your key may also stop and delete it: `{key}`"
        )
    elif sharing().shared:
        st.caption("This browser keeps no cookies: you can watch, and start nothing of your own.")


def ask_for_key(folder: Path, *, key: str) -> None:
    """A place to give the key of a run that is somebody else's; nothing where it is one's own."""
    if visitors.may_control(folder):
        return
    with (
        st.popover("Somebody else's run", icon=":material/lock:", key=f"{key}-open"),
        st.form(f"{key}-form", border=False),
    ):
        st.caption(
            "You may watch and fork this run. To steer, stop or delete it, give its owner's key "
            "(on their page *Runs*), or that of whoever started the app (in its terminal)."
        )
        text = st.text_input("Key", type="password", key=f"{key}-text", max_chars=100)
        if st.form_submit_button("Give the key", key=f"{key}-give"):
            if visitors.give_key(text, folder):
                st.rerun()
            st.error("That key opens nothing here.")
