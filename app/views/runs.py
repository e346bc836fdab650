"""What ran, and what became of it? Open, resume, delete."""

import streamlit as st

from app.actions import delete_run, steer
from app.history import read_history
from app.panels.empty_page import nothing_yet
from app.panels.keys import ask_for_key, own_key
from app.panels.runs.table import runs_table
from app.run_folders import recorded_run, runs_folder, state_of
from app.visitors import may_control
from app.words import STATES, plain, recipe_words
from engine.core.errors import UserError
from engine.run.folders.folder import ACTIVE, RunFolder, damaged_runs, list_runs


@st.dialog("Delete this run?")
def confirm_deletion(folder: RunFolder) -> None:
    """Ask, then delete; says so where the run is at work."""
    st.write(f"{plain(recipe_words(folder.recipe))} ({STATES[state_of(folder)]})")
    st.write("Its images, its measurements and its checkpoint are removed for good.")
    if st.button("Delete for good", type="primary", key="delete-confirmed"):
        try:
            delete_run(folder)
        except UserError as error:
            st.error(plain(error))
            return
        st.rerun()


def _changes(folder: RunFolder, state: str, where: dict[str, str]) -> None:
    if state in ("failed", "lost", "cancelled", "new") and st.button(
        "Resume", icon=":material/resume:"
    ):
        steer(folder, "resume")
        st.switch_page("views/run.py", query_params=where)
    if state in ACTIVE and st.button("Cancel", icon=":material/stop:"):
        steer(folder, "cancel")
        st.rerun()
    if state not in ACTIVE and st.button("Delete", icon=":material/delete:"):
        confirm_deletion(folder)


def details(folder: RunFolder) -> None:
    """Buttons for the selected run, and what went wrong with it."""
    state = state_of(folder)
    st.markdown(f"**{plain(recipe_words(folder.recipe))}** · {STATES.get(state, state)}")
    where = {"run": folder.run_id}
    with st.container(horizontal=True):
        if st.button("Open", type="primary", icon=":material/science:"):
            st.switch_page("views/run.py", query_params=where)
        if may_control(folder.path):
            _changes(folder, state, where)
    ask_for_key(folder.path, key="runs-key")
    failure = read_history(folder).last("run-failed") if state == "failed" else None
    if failure:
        st.error(f"{plain(failure['message'])}\n\n{plain(failure['advice'])}")
    elif state == "lost":
        why = folder.status().get("why", "The worker ended without a word.")
        st.error(f"{why} Resume goes on from the last checkpoint.")
    with st.expander("The recipe, to the last setting"):
        st.code(folder.recipe.to_json(), language="json")


def damaged_rows(folders: list[RunFolder]) -> None:
    """What cannot be opened any more, why, and a way to be rid of it."""
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


st.title("Everything that ran")
own_key()
folders = list_runs(runs_folder())
recorded = recorded_run()
if not folders:
    nothing_yet()
else:
    st.caption("Select a row to open, resume or delete it; click on a column's head to sort.")
    chosen = runs_table(folders, key="runs", at_once=15)
    if chosen is not None:
        details(chosen)
damaged_rows(damaged_runs(runs_folder()))
if recorded is not None:
    st.page_link(
        "views/run.py",
        label="The recorded run that comes with the project",
        icon=":material/movie:",
        query_params={"run": recorded.run_id},
    )
