"""What a page shows where there is no run to show."""

import streamlit as st


def nothing_yet(title: str = "No run to look at") -> None:
    """A way to the first run."""
    st.subheader(title)
    st.write("Start one on the Start page: one click, no data and no graphics card needed.")
    st.page_link("views/start.py", label="To the Start page", icon=":material/play_circle:")
