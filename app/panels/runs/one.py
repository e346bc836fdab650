"""One selected run: open it, use its recipe, resume or stop it; its name and note."""

import streamlit as st

from app.access.visitors import may_control
from app.engine_calls.actions import steer
from app.links.onward import lead_to, onward
from app.panels.new_run.dialog import new_run_button
from app.panels.new_run.variants import another_seed, same_recipe
from app.panels.shared.keys import ask_for_key
from app.panels.shared.press import button
from app.run_files.history import read_history
from app.run_files.run_folders import is_recorded, state_of
from app.run_files.run_notes import LONGEST_NAME, LONGEST_NOTE, Note, note_of, write_note
from app.wording.engine_words import page_sentence, page_text
from app.wording.words import STATES, plain, recipe_words
from engine.core.errors import UserError
from engine.run.folders.folder import ACTIVE, RunFolder


def one_run(folder: RunFolder) -> None:
    """Its words, its buttons, what went wrong with it."""
    state, note = state_of(folder), note_of(folder)
    title = note.name or recipe_words(folder.recipe)
    st.markdown(f"**{plain(title)}** · {STATES.get(state, state)}")
    with st.container(horizontal=True):
        where = {"run": folder.run_id}
        if button("Open", key="open-run", type="primary", icon=":material/science:"):
            st.switch_page("views/run.py", query_params=where)
        new_run_button(
            "Use this recipe",
            key="use-recipe",
            wanted=same_recipe(folder.recipe),
            icon=":material/tune:",
        )
        new_run_button(
            "Same with another seed", key="other-seed", wanted=another_seed(folder.recipe),
            icon=":material/casino:", help="Shows how much of its result is chance.",
        )  # fmt: skip
        if not is_recorded(folder) and may_control(folder.path):
            _steering(folder, state, where)
            _own_words(folder, note)
    ask_for_key(folder.path, key="runs-key")
    if note.text:
        st.caption(plain(note.text))
    failure = read_history(folder).last("run-failed") if state == "failed" else None
    if failure:
        st.error(f"{page_sentence(failure['message'])}\n\n{page_sentence(failure['advice'])}")
    elif state == "lost":
        why = folder.status().get("why", "It ended without a word.")
        st.error(f"{why} Resume goes on from where it was last kept.")
    with st.expander("The recipe, to the last setting"):
        st.code(folder.recipe.to_json(), language="json")


def _steering(folder: RunFolder, state: str, where: dict[str, str]) -> None:
    if state in ("failed", "lost", "cancelled", "new") and button(
        "Resume", key="resume-run", icon=":material/resume:"
    ):
        way = onward()
        steer(folder, "resume")
        lead_to(way, **where)
    if state in ACTIVE and button("Cancel", key="cancel-run", icon=":material/stop:"):
        steer(folder, "cancel")
        st.rerun()


def _own_words(folder: RunFolder, note: Note) -> None:
    with (
        st.popover("Name and note", icon=":material/edit_note:", key="own-words"),
        st.form(f"own-words-{folder.run_id}", border=False),
    ):
        name = st.text_input(
            "Name", note.name, max_chars=LONGEST_NAME, key=f"name-{folder.run_id}",
            placeholder="what you call it",
        )  # fmt: skip
        text = st.text_area("Note", note.text, max_chars=LONGEST_NOTE, key=f"note-{folder.run_id}")
        if st.form_submit_button("Keep", key="own-words-keep"):
            try:
                write_note(folder, Note(name=name, text=text))
            except (UserError, OSError) as error:
                st.error(page_text(error))
                return
            st.rerun()
