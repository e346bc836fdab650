"""A new run, from anywhere: a dialog with a recipe, what it would take, and the button that starts it.

The dialog is drawn by the entry of all pages, as long as it is open: a page that draws itself anew while a
run is at work would close it otherwise.
"""

from typing import Any

import streamlit as st

from app.engine_calls.actions import started
from app.engine_calls.background import look_again
from app.engine_calls.choices import load_catalog
from app.engine_calls.recipes import paths_in
from app.links.onward import lead_on, lead_to, onward
from app.panels.new_run.draft import Draft, open_draft
from app.panels.new_run.estimate import before_start
from app.panels.new_run.form import recipe_form
from app.panels.new_run.in_time import in_time
from app.panels.shared.agree import agreed
from app.panels.shared.press import button, forget_press
from app.wording.engine_words import page_text
from app.wording.words import plain

OPEN, COUNT, START = "new-run", "new-run-count", "new-start"


def new_run(wanted: dict[str, Any] | None = None, *, expert: bool | None = None) -> None:
    """Open the dialog with a recipe's fields (what make_recipe takes), or with the usual ones.

    expert: whether all settings are shown; None: where some are not those of the effort.
    """
    forget_press(START)  # the second press of two, as of a mouse that clicks twice
    st.session_state[COUNT] = st.session_state.get(COUNT, 0) + 1
    try:
        with st.spinner("Looking what networks and methods there are…"):
            catalog = load_catalog()
    except (RuntimeError, OSError) as error:
        st.error(f"The engine could not say what it has. {page_text(error)}")
        return
    draft = st.session_state[OPEN] = open_draft(catalog, wanted, st.session_state[COUNT])
    draft.expert = draft.expert if expert is None else expert
    st.rerun()


def new_run_button(
    label: str = "New run", *, key: str, wanted: dict[str, Any] | None = None, **more: Any
) -> None:
    """A button that opens the dialog; `more` goes to the button."""
    if button(label, key=key, **{"icon": ":material/add:"} | more):
        new_run(wanted)


def open_dialog() -> None:
    """Draw the dialog where one is open. Once, before every page."""
    if st.session_state.get(OPEN) is not None:
        _dialog()


def close_dialog() -> None:
    """Draw it no more."""
    st.session_state.pop(OPEN, None)


@st.dialog("New run", width="large", icon=":material/add:", on_dismiss=close_dialog)
def _dialog() -> None:
    draft: Draft | None = st.session_state.get(OPEN)
    if draft is None:  # closed a moment ago
        return
    lead_on()  # its run was started, and this is a late drawing of it
    catalog = load_catalog()
    reasons = recipe_form(catalog, draft)
    for reason in reasons:
        st.warning(plain(reason))
    wanted, awaited = draft.complete(), False
    with st.container():
        if not reasons and agreed(paths_in(wanted), key="new-files"):
            waits, fitting = in_time(catalog, draft)
            if fitting is not None:
                new_run(fitting, expert=draft.expert)
            awaited = before_start(catalog, wanted) or waits
    if button(
        "Start", type="primary", icon=":material/play_arrow:", key=START, disabled=bool(reasons)
    ):  # fmt: skip
        _start(wanted)
    # Here, for the dialog alone: a drawing of the whole page takes the fields away for a moment, and what is
    # being typed with them.
    look_again(awaited, key="pulse-new-run")


def _start(wanted: dict[str, Any]) -> None:
    way = onward()
    folder = started(wanted)
    if folder is not None:
        lead_to(way, run=folder.run_id)
