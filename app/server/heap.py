"""What lives as long as the app is kept out of Python's search for garbage."""

import gc

import streamlit as st

AGAIN_S = 600.0  # garbage among what was kept out is found by then


@st.cache_resource(ttl=AGAIN_S, max_entries=1, show_spinner=False)
def keep_out(loaded: int) -> None:  # noqa: ARG001  (what it is kept by)
    """Have the search leave out all that lives now; `loaded`: how many modules there are.

    Streamlit searches after each drawing of a page, in all objects of all libraries, and meanwhile nothing
    reaches the browser: 0.1 s each time. Modules are loaded until each page was drawn once.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
