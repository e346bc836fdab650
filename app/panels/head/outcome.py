"""How a run ended: its numbers, or what went wrong and the way on; and what it noted on its way."""

import streamlit as st

from app.access.visitors import may_control
from app.engine_calls.actions import steer
from app.panels.shared.press import button
from app.panels.shared.room import room
from app.run_files.history import History
from app.run_files.run_folders import is_recorded, state_of
from app.wording.engine_words import page_sentence, page_text
from engine.run.folders.folder import ACTIVE, RunFolder
from engine.run.folders.opened import opened_words

ENDED_EARLY = ("failed", "lost", "cancelled", "new")
LINE_REM = 4.6  # of what is said of a run that did not end well


def outcome(folder: RunFolder, history: History, tab: str) -> None:
    """Why a run ended early and the way on; in the place kept for it before, that nobody need wait."""
    state, watched = state_of(folder), is_watched(folder)
    if state == "done" and not watched:
        return
    with room("outcome", LINE_REM):
        if state in ENDED_EARLY:
            _unfinished(folder, history, state)
        elif state == "done":
            where = "below" if tab == "answers" else "on the tab Answers"
            st.caption(f"It is finished: what it came to stands {where}.")
        elif state == "queued":
            st.caption(
                "It begins by itself, also without this page, once the runs before it are done."
            )
        elif state == "paused":
            st.caption("It waits, also without this page: Continue goes on where it stopped.")
        else:
            st.caption(
                "It goes on without this page: close it, come back, or send its address to somebody."
            )


def is_watched(folder: RunFolder) -> bool:
    """Whether the run was at work when this page was opened for it, and so for as long as it stays open."""
    opened: dict[str, bool] = st.session_state.setdefault("opened-at-work", {})
    return opened.setdefault(folder.run_id, state_of(folder) in ACTIVE)


def _unfinished(folder: RunFolder, history: History, state: str) -> None:
    may_go_on = not is_recorded(folder) and may_control(folder.path)
    left, right = (
        st.columns([4, 1], vertical_alignment="top") if may_go_on else (st.container(), None)
    )
    with left:
        _why(folder, history, state)
    if right is not None:
        with right:
            if button("Resume this run", type="primary", key="resume", width="stretch"):
                steer(folder, "resume")
                st.rerun()
            _log(folder)


def _why(folder: RunFolder, history: History, state: str) -> None:
    failure = history.last("run-failed")
    if state == "failed":
        message = failure["message"] if failure else "The run failed without a word."
        advice = failure["advice"] if failure else "Resume it; the end of its log is beside this."
        st.error(f"{page_sentence(message)} {page_sentence(advice)}", icon=":material/error:")
    elif state == "lost":
        why = folder.status().get("why", "The worker ended without a word.")
        st.error(
            f"{page_text(str(why))} Resume goes on from the last checkpoint.",
            icon=":material/error:",
        )
    elif state == "cancelled":
        st.warning("This run was cancelled. Resume goes on from the last checkpoint.")
    else:
        st.info("This run is not started yet. Resume starts it.")


def _log(folder: RunFolder) -> None:
    log = folder.path / "worker.log"
    if log.is_file() and log.stat().st_size:
        with st.popover("The end of its log", width="stretch"):
            st.code(log.read_text(errors="replace")[-3000:], language=None)


def notes(folder: RunFolder, history: History, *, late: bool = False) -> None:
    """What the run noted: on top what was known when the page was opened, `late` what came since.

    A note that comes while somebody looks on would push away what is looked at.
    """
    told = list(dict.fromkeys(str(event["message"]) for event in history.of("noted")))
    came = "" if late else opened_words(folder.path)
    if came:
        st.info(page_text(came), icon=":material/unarchive:")
    first = st.session_state.setdefault("notes-on-top", {}).setdefault(folder.run_id, told)
    shown = [message for message in told if (message in first) is not late]
    if shown:
        st.info("\n\n".join(page_text(one) for one in shown), icon=":material/info:")
