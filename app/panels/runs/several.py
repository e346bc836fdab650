"""Several ticked runs: compare them, or delete them."""

from collections.abc import Sequence

import streamlit as st

from app.access.visitors import may_control
from app.engine_calls.actions import delete_run
from app.panels.shared.press import button
from app.run_files.run_folders import is_recorded, state_of
from app.run_files.run_notes import note_of
from app.wording.engine_words import page_text
from app.wording.words import STATES, plain, recipe_words
from engine.core.errors import UserError
from engine.run.folders.folder import ACTIVE, RunFolder

MOST_COMPARED = 4


def compare_button(chosen: Sequence[RunFolder]) -> None:
    """Leads to the comparison of two to four runs, which the address then names."""
    few = 2 <= len(chosen) <= MOST_COMPARED
    if button(
        f"Compare these {len(chosen)}" if few else "Compare", type="primary",
        icon=":material/compare_arrows:", disabled=not few, key="compare-chosen",
        help=f"Tick two to {MOST_COMPARED} runs.",
    ):  # fmt: skip
        st.query_params["runs"] = ",".join(folder.run_id for folder in chosen)
        st.rerun()


def delete_button(chosen: Sequence[RunFolder]) -> None:
    """Asks before it deletes; runs at work and those of others are not among them."""
    own = [one for one in chosen if _may_go(one)]
    label = "Delete" if len(own) == 1 else f"Delete these {len(own)}"
    if own and button(label, icon=":material/delete:", key="delete-chosen"):
        _confirm(own)


def _may_go(folder: RunFolder) -> bool:
    ended = state_of(folder) not in ACTIVE
    return ended and not is_recorded(folder) and may_control(folder.path)


@st.dialog("Delete for good?")
def _confirm(folders: Sequence[RunFolder]) -> None:
    for folder in folders:
        name = note_of(folder).name or recipe_words(folder.recipe)
        st.markdown(f"- {plain(name)} ({STATES.get(state_of(folder), state_of(folder))})")
    st.write("Images, measurements and all that would let them be resumed are removed for good.")
    if button("Delete for good", type="primary", key="delete-confirmed"):
        for folder in folders:
            try:
                delete_run(folder)
            except (UserError, OSError) as error:
                st.error(page_text(error))
                return
        st.rerun()
