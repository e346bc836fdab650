"""State, progress, accuracy and tabs of a run, with the buttons that steer it."""

from typing import Any

import streamlit as st

from app.access.visitors import may_control
from app.charts.outcomes.verdicts import accuracy_words
from app.components import mount
from app.engine_calls.actions import steer
from app.panels.shared import measured
from app.run_files.history import History
from app.run_files.run_folders import is_live, is_recorded, state_of
from app.wording.words import time_words
from engine.run.folders.control import read_wish
from engine.run.folders.folder import RunFolder


@st.fragment
def controls(folder: RunFolder, history: History, tab: str) -> None:
    """The component: it hears of the run by itself, and tells which button or tab was pressed."""
    wish, chosen = mount.controls(key="controls", tab=tab, **_facts(folder, history))
    if wish is not None:
        steer(folder, wish["name"])
    if chosen is not None:
        _look_at(chosen)
        st.rerun()


OTHER_VERSION = "computed by another version of Quantoscope, whose numbers may differ a little"


def _look_at(chosen: dict[str, Any]) -> None:
    """Write the tab into the address, and with it the step and layer that the browser looks at."""
    st.query_params["tab"] = str(chosen["name"])
    if isinstance(chosen.get("layer"), str):
        st.query_params["layer"] = chosen["layer"]
    if isinstance(chosen.get("step"), int | float):
        st.query_params["step"] = str(int(chosen["step"]))
    else:
        st.query_params.pop("step", None)


def _facts(folder: RunFolder, history: History) -> dict[str, Any]:
    totals = {e["stage"]: e["total_steps"] for e in history.of("stage-started")}
    latest = {stage: history.last("stepped", stage=stage) for stage in totals}
    steps = {stage: event["step"] for stage, event in latest.items() if event is not None}
    steps |= {e["stage"]: totals.get(e["stage"], 1) for e in history.of("stage-finished")}
    judged = history.of("stepped", stage="evaluation")
    begun, last = history.last("stage-started"), history.last("stepped")
    is_past = begun is not None and last is not None and begun["stage"] != last["stage"]
    return {
        "run": folder.run_id,
        "offset": history.offset,
        "live": is_live(folder),
        "state": state_of(folder),
        "steerable": not is_recorded(folder) and may_control(folder.path),
        "slow": read_wish(folder.path).slow_s > 0,
        "totals": totals,
        "steps": steps,
        "took": took(folder, history),
        "last": None if is_past else last,  # of a stage that is over, or another run's
        "top1": {e["part"]: e["values"]["top1"] for e in judged if "top1" in e.get("values", {})},
        "accuracy": _accuracy(folder),
        "summary": summary(folder),
    }


def took(folder: RunFolder, history: History) -> dict[str, str]:
    """How long each stage took that is over; of a stage whose work was another run's, that it was."""
    reused = (folder.result() or {}).get("reused") or {}
    words = {e["stage"]: time_words(e["seconds"]) for e in history.of("stage-finished")}
    return words | dict.fromkeys(reused, "reused")


def summary(folder: RunFolder) -> str:
    """What else is to be told of a finished run in a line: that another version computed it."""
    other = (folder.result() or {}).get("other_engine")
    return OTHER_VERSION if other and not is_recorded(folder) else ""


def _accuracy(folder: RunFolder) -> dict[str, str] | None:
    """The number that a finished run is judged by, and a few words on it."""
    result = folder.result()
    if result is None:
        return None
    told = accuracy_words(result)
    if told is None:
        brief = measured.brief(result)
        told = (brief, measured.brief_note(result)) if brief else None
    return told and {"value": told[0], "note": told[1]}
