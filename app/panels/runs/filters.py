"""Which runs are shown: by words, by state, by network."""

from collections.abc import Sequence

import streamlit as st

from app.choices import title_of
from app.run_folders import is_recorded, state_of
from app.words import recipe_words
from engine.run.folders.folder import ACTIVE, RunFolder
from engine.run.folders.label import read_label

GROUPS = {  # what is asked for: states that answer it
    "At work": (*ACTIVE,),
    "Finished": ("done",),
    "Ended early": ("failed", "lost", "cancelled", "new"),
}
FEW = 4  # so many runs are looked through without a filter


def filtered(folders: Sequence[RunFolder]) -> list[RunFolder]:
    """Those that the filters leave; all of them where there are few."""
    if len(folders) < FEW:
        return list(folders)
    left, middle, right = st.columns([3, 3, 2], gap="medium", vertical_alignment="bottom")
    words = left.text_input(
        "Search", key="runs-search", icon=":material/search:",
        placeholder="network, method, W4A4, a name or a note",
    )  # fmt: skip
    groups = middle.pills("State", list(GROUPS), selection_mode="multi", key="runs-states")
    networks = sorted({folder.recipe.model for folder in folders})
    network = right.selectbox(
        "Network", networks, index=None, placeholder="any", key="runs-network",
        format_func=lambda name: title_of("models", name),
    )  # fmt: skip
    states = {state for group in groups or () for state in GROUPS[group]}
    found = [
        folder
        for folder in folders
        if (not states or state_of(folder) in states)
        and (network is None or folder.recipe.model == network)
        and all(word in _text(folder) for word in words.lower().split())
    ]
    if len(found) < len(folders):
        st.caption(f"{len(found)} of {len(folders)} runs.")
    return found


def _text(folder: RunFolder) -> str:
    label = read_label(folder.path)
    recorded = "recorded" if is_recorded(folder) else ""
    recipe = folder.recipe
    return " ".join(
        (recipe_words(recipe), label.name, label.note, f"seed {recipe.seed}", recorded)
    ).lower()
