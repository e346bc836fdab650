"""What should I change? The doctor's findings of a finished run, the most promising first."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from app.engine_calls.cures import course_of
from app.engine_calls.diagnoses import doctor_says
from app.panels.doctor.do_it_all import course_card, do_it_all_button
from app.panels.doctor.finding import finding_card, is_being_tried
from app.panels.shared.ask_why import why_unanswered
from app.panels.shared.csv_button import csv_button
from app.panels.shared.folded import folded
from app.panels.shared.press import button
from app.run_files.run_folders import advice, runs_folder
from app.text import explain
from app.wording.engine_words import OTHER_VERSION, page_text
from engine.core.percent import BAND
from engine.run.benches.advice.file import verdict
from engine.run.folders.folder import RunFolder
from engine.run.questions.doctor.scoreboard import board

TITLE = "What should I change?"
QUESTION = "doctor"
AT_ONCE = (
    1  # findings, none beside what is tried; the others closed: a tab is two screens high at most
)
TAKES = (
    "Looks at every layer's weights, inputs and images, and tries each change in memory: some seconds to a "
    "minute, beside whatever else you do here."
)


def doctor_panel(folder: RunFolder) -> bool:
    """A button, then the wait, then findings with what each change would gain; kept in the run's folder.

    Returns whether something is awaited, so that the page is to be drawn again. Nothing where the run cannot
    be asked: the tab says why at its end.
    """
    if why_unanswered(folder, QUESTION):
        return False
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    left.subheader(TITLE, help=explain(QUESTION))
    answer = doctor_says(folder, wanted=False)
    if answer is None:
        with right, st.container(horizontal=True, horizontal_alignment="right"):
            if not button(
                "Ask the doctor", icon=":material/stethoscope:", key="ask-doctor", help=TAKES
            ):
                return False
        answer = doctor_says(folder, wanted=True)
    if answer is None or answer.is_pending:
        st.info("Layers, inputs and images are examined.", icon=":material/hourglass_top:")
        return True
    if answer.error:
        st.error(page_text(answer.error))
        return False
    with right, st.container(horizontal=True, horizontal_alignment="right"):
        do_it_all_button(folder, answer.value)
    return _findings(folder, answer.value)


def _findings(folder: RunFolder, found: dict[str, Any]) -> bool:
    tried = (
        course_of(folder) is not None
    )  # what came of it says more than what is to be tried first
    if not tried:
        st.markdown(f"**{page_text(found['sentence'])}**")
    for said in map(page_text, found["notes"]):
        if said != OTHER_VERSION:  # the head of the page says it
            st.caption(said)
    findings = found["findings"]
    with st.container():
        at_work = course_card(folder)
    at_once = 0 if tried else AT_ONCE
    for number, one in enumerate(findings[:at_once]):
        at_work |= finding_card(folder, found["loss"], one, number)
    scores = board(runs_folder())
    if findings[at_once:] or scores:
        at_work |= _more(folder, found, scores, at_once)
    elif findings:
        csv_button(table(findings), folder.run_id, "findings")
    return at_work


def table(findings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row a finding: what is wrong, where, how bad, what to change and what that would gain, the source."""
    told = ("rule", "severity", "layer", "cause", "predicted_gain", "unit", "source")
    return [
        {name: one[name] for name in told}
        | {"change": one["change"]["words"] if one["change"] else ""}
        | dict(zip(("band_low", "band_high"), one["band"] or (None, None), strict=True))
        for one in findings
    ]


def _more(
    folder: RunFolder, found: dict[str, Any], scores: list[dict[str, Any]], told: int
) -> bool:
    """All findings but those `told`, and the scoreboard, closed; whether a change is being tried."""
    others = found["findings"][told:]
    title = _more_words(len(others), scores, more=bool(told))

    def draw() -> None:
        for number, one in enumerate(others, told):
            finding_card(folder, found["loss"], one, number)
        csv_button(table(found["findings"]), folder.run_id, "findings", label="All findings, CSV")
        _scores(scores)
        _measured_elsewhere()

    folded(title, draw, key="doctor-more", icon=":material/list:")
    return any(is_being_tried(one) for one in others)


def _more_words(rest: int, scores: list[dict[str, Any]], *, more: bool) -> str:
    many = f"{rest} {'more ' if more else ''}finding{'s' if rest > 1 else ''}"
    parts = [many] if rest > 0 else []
    parts += ["how good the doctor's advice has been"] if scores else []
    words = ", and ".join(parts)
    return words[:1].upper() + words[1:]


def _scores(rows: list[dict[str, Any]]) -> None:
    """How the advice has turned out so far, rule by rule."""
    if not rows:
        return
    st.markdown("**How good has the doctor's advice been?**", help=explain("advice"))
    st.caption(
        "Over all runs here: how often each rule's change was tried, how often it helped, and how often the "
        f"measured gain lay within the predicted {BAND} band."
    )
    table = [
        {
            "Rule": row["rule"].replace("-", " "),
            "Tried": row["tried"],
            "Helped": row["helped"],
            "Band held": f"{row['held']} of {row['banded']}" if row["banded"] else "–",
        }
        for row in rows
    ]
    st.dataframe(pd.DataFrame(table), hide_index=True, width="content")
    csv_button(rows, "all-runs", "scoreboard", words="Every rule with its counts.")


def _measured_elsewhere() -> None:
    """The way to what was measured of the doctor's predictions on the bundled networks."""
    result = advice()
    if result is None:
        return
    found = verdict(result)
    st.page_link(
        "views/evidence.py", icon=":material/fact_check:", query_params={"of": "advice"},
        label=f"Its predictions held against {found.tried} measured changes on {found.networks} networks",
    )  # fmt: skip
