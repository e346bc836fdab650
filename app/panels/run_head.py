"""The head of a run's page: which run, what it does now, the buttons, how it ended."""

from collections import Counter
from typing import Any

import streamlit as st

from app.actions import steer
from app.components import mount
from app.history import History
from app.panels.keys import ask_for_key
from app.places import is_recorded, recorded_run, runs_folder, state_of
from app.visitors import may_control
from app.words import STATES, recipe_words
from engine.core.errors import UserError
from engine.run.control import read_wish
from engine.run.folder import RunFolder, list_runs


def run_head(folder: RunFolder, history: History) -> None:
    """Picker, controls, outcome; and the page is drawn again when the run ends or goes on."""
    _picker(folder)
    _controls(folder, history)
    if not is_recorded(folder):
        ask_for_key(folder.path, key="head-key")
    with st.container():  # always there, so that what follows keeps its place on the page
        _outcome(folder, history)
    live = is_live(folder)
    kinds = ["run-started", "stage-started", "bits-chosen", "run-finished", "run-failed"]
    at = {"run": folder.run_id, "offset": history.offset, "live": live}
    mount.pulse(key="pulse-page", kinds=kinds, states=True, state=state_of(folder), **at)


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
    parts = [f"{name} {s:.0f} s" for name, s in (result.get("seconds") or {}).items()]
    return " · ".join(parts)


def _outcome(folder: RunFolder, history: History) -> None:
    state = state_of(folder)
    failure = history.last("run-failed")
    if state == "failed":
        message = failure["message"] if failure else "The run failed without a word."
        advice = failure["advice"] if failure else "Resume it; the end of its log is below."
        st.error(f"{message}\n\n{advice}", icon=":material/error:")
    elif state == "lost":
        why = folder.status().get("why", "The worker ended without a word.")
        st.error(f"{why} Resume goes on from the last checkpoint.", icon=":material/error:")
    elif state == "cancelled":
        st.warning("This run was cancelled. Resume goes on from the last checkpoint.")
    elif state == "new":
        st.info("This run is not started yet. Resume starts it.")
    theirs = not is_recorded(folder) and may_control(folder.path)
    if state in ("failed", "lost", "cancelled", "new") and theirs:
        _way_out(folder)
    for message in Counter(event["message"] for event in history.of("noted")):
        st.info(message, icon=":material/info:")


def _way_out(folder: RunFolder) -> None:
    if st.button("Resume this run", type="primary", key="resume"):
        steer(folder, "resume")
        st.rerun()
    log = folder.path / "worker.log"
    if log.is_file() and log.stat().st_size:
        with st.expander("The end of its log"):
            st.code(log.read_text(errors="replace")[-3000:], language=None)
