"""Runs whose recipe cannot be read: called by what is left of them, with a way to be rid of each."""

import re
from typing import Any

import streamlit as st

from app.engine_calls.actions import delete_run
from app.panels.shared.press import button
from app.wording.engine_words import page_text
from app.wording.words import STATES, ago, one_line, plain
from engine.core.errors import UserError
from engine.core.outside.reading import read_object
from engine.run.folders.folder import RunFolder
from engine.run.folders.names import read_recipe

_NAMED = re.compile(
    r"(?P<model>.+)_(?P<synthesis>[a-z0-9-]+)_(?P<quantization>[a-z0-9-]+)_(?P<bits>w\d+a\d+)_[0-9a-f]{8}"
)


def damaged_rows(folders: list[RunFolder]) -> None:
    """What cannot be opened any more, why, and the way out."""
    for folder in folders:
        with st.container(border=True):
            st.markdown(
                f"**{plain(left_of(folder))}** · {STATES['damaged']} · asked for {ago(folder.asked_s())}",
                help=f"Its folder: `{folder.run_id}`",
            )
            st.caption(plain(why(folder)))
            if button("Delete", icon=":material/delete:", key=f"delete-{folder.run_id}"):
                try:
                    delete_run(folder)
                except (UserError, OSError) as error:
                    st.error(page_text(error))
                else:
                    st.rerun()


def left_of(folder: RunFolder) -> str:
    """What the run was, as far as its recipe or the name of its folder still says it."""
    found: dict[str, Any] = read_object(folder.path / "recipe.json") or {}
    named = _NAMED.fullmatch(folder.run_id)
    parts = {} if named is None else named.groupdict()
    parts |= {part: found[part] for part in parts.keys() & found if isinstance(found[part], str)}
    if not parts:
        return f"A run in the folder {folder.run_id}"
    bits = str(parts["bits"]).upper()
    return one_line(parts["model"], bits, parts["synthesis"], parts["quantization"])


def why(folder: RunFolder) -> str:
    """What is wrong with it, and what to do."""
    recipe = read_recipe(folder.path / "recipe.json")
    if recipe is None:
        return (
            "Its recipe (recipe.json in its folder) cannot be read by this version. Delete it, and start it "
            "again with New run."
        )
    return (
        f"Its folder {folder.run_id} holds the recipe of another run. Rename the folder to {recipe.run_id}, "
        "or delete it."
    )
