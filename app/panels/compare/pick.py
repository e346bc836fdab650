"""Choosing runs to compare; the choice lives in the address (`?runs=..,..`)."""

from collections import Counter

import streamlit as st

from app.run_files.run_folders import is_recorded, recorded_folder, runs_folder
from app.wording.data_words import bits_of
from app.wording.words import ago, plain, recipe_words
from engine.run.folders.folder import RunFolder, list_runs
from engine.run.stages.synthesis.reuse import synthesis_key

KEY = "compare-runs"


def pick_runs(*, most: int) -> list[RunFolder] | None:
    """The chosen runs in the order chosen, two different image sets at first; None where there are none."""
    named = st.query_params.get("runs", "").split(",")
    # One that was started a moment ago has no events yet; whoever names it wants to wait for it.
    folders = [
        folder
        for folder in _all_runs()
        if _readable(folder) and (_has_begun(folder) or folder.run_id in named)
    ]
    if not folders:
        return None
    by_id = {folder.run_id: folder for folder in folders}
    asked = [name for name in named if name in by_id]
    gone = [name for name in named if name and name not in by_id]
    if gone:
        st.warning(
            f"Not here: {plain(', '.join(gone)[:200])}. They may have been deleted, or made on another "
            "machine; choose others below."
        )
    titles = {run: _words(folder) for run, folder in by_id.items()}
    often = Counter(titles.values())

    def title(run: str) -> str:
        # The menu knows its choices by their titles: two of one title would be one choice.
        return titles[run] if often[titles[run]] == 1 else f"{titles[run]} · {run[-8:]}"

    # The address decides, as in url_menu: a menu remembers its choices by their titles, and these age.
    st.session_state[KEY] = (asked or _first_choice(folders))[:most]
    chosen = st.multiselect(
        "Runs to compare",
        list(by_id),
        max_selections=most,
        format_func=title,
        key=KEY,
        on_change=_write,
        help="Any that have begun: their images need not be finished.",
    )
    return [by_id[run] for run in chosen]


def _write() -> None:
    st.query_params["runs"] = ",".join(st.session_state[KEY])


def _all_runs() -> list[RunFolder]:
    return [*list_runs(runs_folder()), *list_runs(recorded_folder())]


def _readable(folder: RunFolder) -> bool:
    try:
        return bool(folder.recipe.model)
    except (OSError, TypeError, ValueError):
        return False


def _has_begun(folder: RunFolder) -> bool:
    return folder.events_file.exists()


def _first_choice(folders: list[RunFolder]) -> list[str]:
    """The newest run, and the newest of the same network whose images are others."""
    first = folders[0]
    key = synthesis_key(first.recipe)
    for other in folders[1:]:
        if other.recipe.model == first.recipe.model and synthesis_key(other.recipe) != key:
            return [first.run_id, other.run_id]
    return [first.run_id]


def _words(folder: RunFolder) -> str:
    recipe = folder.recipe
    when = "recorded" if is_recorded(folder) else ago(folder.asked_s())
    words = recipe_words(recipe).replace(f" · {bits_of(recipe)}", "")
    return f"{words} · {bits_of(recipe)} · {recipe.images} images · seed {recipe.seed} · {when}"
