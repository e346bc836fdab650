"""Runs that cannot be opened any more: why, and a way to be rid of them."""

import streamlit as st

from app.words import STATES
from engine.core.errors import UserError
from engine.run.folders.folder import RunFolder


def damaged_rows(folders: list[RunFolder]) -> None:
    """A box each."""
    for folder in folders:
        with st.container(border=True):
            st.markdown(f"`{folder.run_id}` · {STATES['damaged']}")
            st.caption(folder.damage() or "")
            if st.button("Delete", icon=":material/delete:", key=f"delete-{folder.run_id}"):
                try:
                    folder.delete()
                except (UserError, OSError) as error:
                    st.error(str(error))
                else:
                    st.rerun()
