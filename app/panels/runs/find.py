"""Which of the runs: a search in their words, and their states."""

from collections.abc import Sequence

import streamlit as st

from app.run_files.run_folders import state_of
from app.run_files.run_notes import note_of
from app.wording.data_words import bits_of
from app.wording.words import recipe_words
from engine.run.folders.folder import ACTIVE, RunFolder

GROUPS = {
    "at work": (*ACTIVE, "new"),
    "finished": ("done",),
    "ended early": ("failed", "cancelled", "lost"),
}


def find_runs(folders: Sequence[RunFolder]) -> list[RunFolder]:
    """A line to search by and the groups that there are; returns the runs that are meant."""
    groups = {folder.run_id: _group(folder) for folder in folders}
    there = [name for name in GROUPS if name in groups.values()]
    left, right = st.columns([2, 3], gap="medium", vertical_alignment="bottom")
    words = left.text_input(
        "Search", key="runs-search", icon=":material/search:", max_chars=200,
        placeholder="network, method, W2A4, your words", label_visibility="collapsed",
    )  # fmt: skip
    wanted: list[str] = []
    with right:
        if len(there) > 1:
            wanted = st.pills(
                "State", there, selection_mode="multi", key="runs-state", label_visibility="collapsed",
                format_func=lambda one: f"{one} ({list(groups.values()).count(one)})",
            )  # fmt: skip
    return [
        folder
        for folder in folders
        if (not wanted or groups[folder.run_id] in wanted) and matches(folder, words)
    ]


def matches(folder: RunFolder, words: str) -> bool:
    """Whether all of the words are in the run's name, note or recipe."""
    if not words.strip():
        return True
    try:
        recipe = folder.recipe
    except (OSError, TypeError, ValueError):
        return False
    note = note_of(folder)
    text = " ".join(
        (recipe_words(recipe), bits_of(recipe), f"seed {recipe.seed}", recipe.preset, note.name,
         note.text, recipe.synthesis, recipe.quantization, recipe.model, folder.run_id)
    ).lower()  # fmt: skip
    return all(word in text for word in words.lower().split())


def _group(folder: RunFolder) -> str:
    state = state_of(folder)
    return next((name for name, states in GROUPS.items() if state in states), "ended early")
