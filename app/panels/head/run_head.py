"""The head of a run's page, which stays: which run, what it does now, how right it is, what to do with it."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence

import streamlit as st

from app.components import mount
from app.engine_calls.actions import fields_of
from app.panels.head.compare_with import compare_with
from app.panels.head.controls import controls
from app.panels.head.outcome import notes, outcome
from app.panels.new_run.dialog import new_run_button
from app.panels.shared.keys import ask_for_key
from app.panels.take_away.dialog import take_away_button
from app.run_files.history import History
from app.run_files.run_folders import is_live, is_recorded, recorded_run, runs_folder, state_of
from app.wording.words import STATES, recipe_words
from engine.core.errors import UserError
from engine.run.folders.folder import RunFolder, list_runs
from engine.run.folders.opened import opened_from

# What changes the words of a page, whichever it is.
TURNS = (
    "run-started", "stage-started", "state-changed", "bits-chosen", "noted", "run-finished", "run-failed",
)  # fmt: skip
# Streamlit's own bar lies over the top of the page; on a phone a head that stays would cover the rest.
STAYS = """<style>
@media (min-width: 641px) {
  [data-testid="stLayoutWrapper"]:has(> .st-key-head) { position: sticky; top: 3.6rem; z-index: 90; }
}
@media (max-width: 640px) { .st-key-head-row > :first-child { flex: 1 0 100%; } }
.st-key-head { background: light-dark(LIGHT, DARK); gap: 0.5rem; padding: 0.3rem 0 0.5rem;
  border-bottom: 1px solid rgba(138, 148, 163, 0.3); }
.st-key-head [data-testid="stSelectbox"] { min-width: min(100%, 22rem); }
[data-testid="stLayoutWrapper"]:has(> [class*="st-key-tab-"]:not(.st-key-tab-OPEN)) { display: none; }
</style>"""


def run_head(folder: RunFolder, history: History, tab: str, *, kinds: Sequence[str] = ()) -> None:
    """Name, state, accuracy, tabs, buttons; how it ended, notes; and the pulse, which draws the page again.

    It does where the run ends or goes on, and with events of these kinds too.
    """
    st.html(_stays(tab))
    with st.container(key="head"):
        with st.container(horizontal=True, vertical_alignment="center", key="head-row"):
            _picker(folder)
            new_run_button(
                "Use this recipe", key="use-recipe", wanted=fields_of(folder.recipe),
                icon=":material/content_copy:", help="Opens New run with all that this run was made with.",
            )  # fmt: skip
            compare_with(folder)
            take_away_button(folder)
        controls(folder, history, tab)
    outcome(folder, history, tab)
    with st.container():  # always there, so that what follows keeps its place on the page
        if not is_recorded(folder):
            ask_for_key(folder.path, key="head-key")
    with st.container(key="notes"):
        notes(folder, history)
    mount.pulse(
        run=folder.run_id, offset=history.offset, live=is_live(folder), state=state_of(folder),
        kinds=[*TURNS, *kinds],
    )  # fmt: skip


def _stays(tab: str) -> str:
    """The head's style; what scrolls below it must not show through, nor the tab that was just left."""
    colours = {
        name: st.get_option(f"theme.{name.lower()}.backgroundColor") for name in ("LIGHT", "DARK")
    }
    style = STAYS
    for name, colour in colours.items():
        style = style.replace(name, str(colour))
    return style.replace("OPEN", tab)


def _picker(folder: RunFolder) -> None:
    folders = {one.run_id: one for one in list_runs(runs_folder())}
    recorded = recorded_run()
    if recorded is not None:
        folders.setdefault(recorded.run_id, recorded)
    ids = list(folders)
    st.session_state["picked"] = folder.run_id if folder.run_id in folders else None

    titles = {run: _title(one) for run, one in folders.items()}
    often = Counter(titles.values())
    begun = _begun(folders)

    def label(run: str) -> str:
        # The menu knows its choices by their titles: two of one title would be one choice.
        return titles[run] if often[titles[run]] == 1 else f"{titles[run]} · {begun[run]}"

    def picked() -> None:
        run = st.session_state["picked"]
        if run not in folders:  # the title that a browser knew: "starting", a moment too long
            return
        st.query_params.clear()
        st.query_params["run"] = run
        st.session_state["run"] = run

    st.selectbox(
        "Run", ids, format_func=label, key="picked", on_change=picked, label_visibility="collapsed"
    )


def _begun(folders: Mapping[str, RunFolder]) -> dict[str, str]:
    """When each run was begun, to the second where the minute is another run's too."""
    times = {run: one.asked_s() for run, one in folders.items()}
    words = {run: f"{time.strftime('%d %b %H:%M', time.localtime(t))}" for run, t in times.items()}
    often = Counter(words.values())
    finer = {run: time.strftime(" %S s", time.localtime(t)) for run, t in times.items()}
    words = {run: said + (finer[run] if often[said] > 1 else "") for run, said in words.items()}
    again = Counter(words.values())
    return {
        run: said if again[said] == 1 else f"{said} · {run[-8:]}" for run, said in words.items()
    }


def _title(folder: RunFolder) -> str:
    try:
        mark = "recorded" if is_recorded(folder) else STATES[state_of(folder)]
        mark = "opened" if opened_from(folder.path) else mark
        return f"{recipe_words(folder.recipe)} · {mark}"
    except (UserError, TypeError, ValueError, OSError):
        return folder.run_id
