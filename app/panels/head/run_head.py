"""The head of a run's page: which run, what it does now, the buttons, how it ended."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import streamlit as st

from app.actions import steer
from app.components import mount
from app.history import History
from app.panels.head.outcome import notes, outcome
from app.panels.keys import ask_for_key
from app.run_folders import is_recorded, recorded_run, runs_folder, state_of
from app.visitors import may_control
from app.words import STATES, recipe_words
from engine.core.errors import UserError
from engine.run.folders.control import read_wish
from engine.run.folders.folder import RunFolder, list_runs

# What changes the words of a page, whichever it is.
TURNS = (
    "run-started", "stage-started", "state-changed", "bits-chosen", "noted", "run-finished", "run-failed",
)  # fmt: skip


def run_head(folder: RunFolder, history: History, *, kinds: Sequence[str] = ()) -> None:
    """Picker, controls, outcome, notes; and the pulse, which draws the page again.

    It does where the run ends or goes on, and with events of these kinds too.
    """
    _picker(folder)
    _controls(folder, history)
    outcome(folder, history)
    with st.container():  # always there, so that what follows keeps its place on the page
        if not is_recorded(folder):
            ask_for_key(folder.path, key="head-key")
    with st.container():
        notes(folder, history)
    mount.pulse(
        run=folder.run_id, offset=history.offset, live=is_live(folder), state=state_of(folder),
        kinds=[*TURNS, *kinds],
    )  # fmt: skip


def is_live(folder: RunFolder) -> bool:
    """Whether more events may come."""
    return not is_recorded(folder) and folder.result() is None


def _picker(folder: RunFolder) -> None:
    folders = {one.run_id: one for one in list_runs(runs_folder())}
    recorded = recorded_run()
    if recorded is not None:
        folders.setdefault(recorded.run_id, recorded)
    ids = list(folders)
    st.session_state["picked"] = folder.run_id if folder.run_id in folders else None

    titles = {run: _title(one) for run, one in folders.items()}
    often = Counter(titles.values())

    def label(run: str) -> str:
        # The menu knows its choices by their titles: two of one title would be one choice.
        return titles[run] if often[titles[run]] == 1 else f"{titles[run]} · {run[-8:]}"

    def picked() -> None:
        run = st.session_state["picked"]
        st.query_params.clear()
        st.query_params["run"] = run
        st.session_state["run"] = run

    st.selectbox("Run", ids, format_func=label, key="picked", on_change=picked)


def _title(folder: RunFolder) -> str:
    try:
        mark = "recorded" if is_recorded(folder) else STATES[state_of(folder)]
        return f"{recipe_words(folder.recipe)} · {mark}"
    except (UserError, TypeError, ValueError, OSError):
        return folder.run_id


@st.fragment
def _controls(folder: RunFolder, history: History) -> None:
    wish = mount.controls(key="controls", **_facts(folder, history))
    if wish is None:
        return
    steer(folder, wish["name"])
    if wish["name"] == "resume":
        st.rerun()


def _facts(folder: RunFolder, history: History) -> dict[str, Any]:
    totals = {e["stage"]: e["total_steps"] for e in history.of("stage-started")}
    steps = {e["stage"]: e["step"] for e in history.of("stepped")}
    steps |= {e["stage"]: totals.get(e["stage"], 1) for e in history.of("stage-finished")}
    return {
        "run": folder.run_id,
        "offset": history.offset,
        "live": is_live(folder),
        "state": state_of(folder),
        "steerable": not is_recorded(folder) and may_control(folder.path),
        "slow": read_wish(folder.path).slow_s > 0,
        "totals": totals,
        "steps": steps,
        "last": history.last("stepped"),
        "summary": _summary(folder),
    }


def _summary(folder: RunFolder) -> str:
    result = folder.result() or {}
    seconds, reused = result.get("seconds") or {}, result.get("reused") or {}
    parts = [
        f"{name} reused ({reused[name]['seconds']:.0f} s in another run)"
        if name in reused
        else f"{name} {spent:.0f} s"
        for name, spent in seconds.items()
    ]
    if result.get("other_engine") and not is_recorded(folder):
        parts.append(result["other_engine"].rstrip("."))
    return " · ".join(parts)
