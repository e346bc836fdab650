"""What can be done with the runs that are ticked."""

from collections.abc import Sequence

import streamlit as st

from app.actions import delete_run, keep_label, steer
from app.history import read_history
from app.panels.keys import ask_for_key
from app.panels.new_run.dialog import fields_of, new_run_button
from app.run_folders import is_recorded, state_of
from app.visitors import may_control
from app.words import STATES, plain, recipe_words
from engine.core.errors import UserError
from engine.run.folders.folder import ACTIVE, RunFolder
from engine.run.folders.label import MOST_NAME, MOST_NOTE, Label, read_label

MOST_COMPARED = 4
ENDED_EARLY = ("failed", "lost", "cancelled", "new")


def selected_panel(chosen: Sequence[RunFolder]) -> None:
    """One run: open, change, name, use again; several: compare, delete."""
    if not chosen:
        st.caption("Tick a run to open, name or delete it; tick two or more to compare them.")
    elif len(chosen) == 1:
        _one(chosen[0])
    else:
        _many(chosen)


def _one(folder: RunFolder) -> None:
    state = state_of(folder)
    words = "recorded" if is_recorded(folder) else STATES.get(state, state)
    st.markdown(f"**{plain(recipe_words(folder.recipe))}** · {words}")
    with st.container(horizontal=True):
        if st.button("Open", type="primary", icon=":material/science:"):
            st.switch_page("views/run.py", query_params={"run": folder.run_id})
        new_run_button("Use this recipe", key="use-recipe", wanted=fields_of(folder.recipe))
        seed = folder.recipe.seed + 1
        new_run_button(
            "Another seed", key="use-seed", icon=":material/casino:",
            wanted=fields_of(folder.recipe, seed=seed),
        )  # fmt: skip
        if not is_recorded(folder) and may_control(folder.path):
            _changes(folder, state)
    if is_recorded(folder):
        return
    ask_for_key(folder.path, key="runs-key")
    _why(folder, state)
    if may_control(folder.path):
        _label(folder)
    else:
        _read_label(folder)


def _changes(folder: RunFolder, state: str) -> None:
    if state in ENDED_EARLY and st.button("Resume", icon=":material/resume:"):
        steer(folder, "resume")
        st.switch_page("views/run.py", query_params={"run": folder.run_id})
    if state in ACTIVE and st.button("Cancel", icon=":material/stop:"):
        steer(folder, "cancel")
        st.rerun()
    if state not in ACTIVE and st.button("Delete", icon=":material/delete:"):
        confirm_deletion([folder])


def _why(folder: RunFolder, state: str) -> None:
    failure = read_history(folder).last("run-failed") if state == "failed" else None
    if failure:
        st.error(f"{plain(failure['message'])}\n\n{plain(failure['advice'])}")
    elif state == "lost":
        why = folder.status().get("why", "The worker ended without a word.")
        st.error(f"{plain(str(why))} Resume goes on from the last checkpoint.")


def _label(folder: RunFolder) -> None:
    label = read_label(folder.path)
    with st.form(f"label-{folder.run_id}", border=False):
        left, middle, right = st.columns([2, 5, 1], gap="small", vertical_alignment="bottom")
        name = left.text_input("Name", label.name, max_chars=MOST_NAME, key=f"name-{folder.run_id}")
        note = middle.text_input(
            "Note", label.note, max_chars=MOST_NOTE, key=f"note-{folder.run_id}"
        )
        if right.form_submit_button("Keep", width="stretch"):
            try:
                keep_label(folder, Label(name=name, note=note))
            except (UserError, OSError) as error:
                st.error(plain(error))
            else:
                st.rerun()


def _read_label(folder: RunFolder) -> None:
    label = read_label(folder.path)
    told = [text for text in (label.name, label.note) if text]
    if told:
        st.caption(plain(" · ".join(told)))


def _many(chosen: Sequence[RunFolder]) -> None:
    compared = ",".join(folder.run_id for folder in chosen[:MOST_COMPARED])
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(
            f"Compare these {min(len(chosen), MOST_COMPARED)}", type="primary",
            icon=":material/compare:", key="compare-ticked",
        ):  # fmt: skip
            st.query_params["runs"] = compared
            st.rerun()
        own = [one for one in chosen if not is_recorded(one) and may_control(one.path)]
        idle = [one for one in own if state_of(one) not in ACTIVE]
        if idle and st.button(f"Delete {len(idle)}", icon=":material/delete:", key="delete-ticked"):
            confirm_deletion(idle)
    if len(chosen) > MOST_COMPARED:
        st.caption(f"At most {MOST_COMPARED} are compared: the first that are ticked.")


@st.dialog("Delete for good?")
def confirm_deletion(folders: Sequence[RunFolder]) -> None:
    """Ask, then delete; says which could not be, and why."""
    for folder in folders:
        st.markdown(f"- {plain(recipe_words(folder.recipe))} ({STATES[state_of(folder)]})")
    st.write("Images, measurements and checkpoints are removed for good.")
    if not st.button("Delete for good", type="primary", key="delete-confirmed"):
        return
    for folder in folders:
        try:
            delete_run(folder)
        except UserError as error:
            st.error(plain(error))
            return
    st.rerun()
