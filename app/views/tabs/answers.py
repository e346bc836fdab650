"""What did the bits cost the answers?"""

import streamlit as st

from app.charts.layers import reconstruction
from app.charts.outcomes.verdicts import outcome_verdict
from app.engine_calls.background import look_again
from app.panels.answers import costs, flips
from app.panels.answers import nearest_comparison as gain
from app.panels.answers import result as result_panels
from app.panels.answers import triad as images_worth
from app.panels.head.headline import headline
from app.panels.head.outcome import ENDED_EARLY, is_watched
from app.panels.images.growth import live_chart
from app.panels.shared.ask_why import is_pending, why_not, why_unanswered
from app.panels.shared.not_here import not_here
from app.panels.shared.room import room
from app.run_files.history import History
from app.run_files.run_folders import state_of
from app.text import explain
from engine.run.folders.folder import RunFolder

ALL = (result_panels.TITLE, flips.TITLE, *costs.TITLES.values(), gain.TITLE, images_worth.TITLE)
HEIGHT_REM = 10.4  # of the verdict and the four numbers; what stands there before is lower


def judging_section(folder: RunFolder, history: History) -> None:
    """Both accuracies as the test images are judged; nothing of a run that was over before."""
    if is_watched(folder) and any(history.of("stage-started", stage="evaluation")):
        st.subheader("How right are teacher and student?", help=explain("judging"))
        live_chart(reconstruction.judging(), folder, history, key="judging")


def draw(folder: RunFolder, history: History) -> None:
    """What was lost and saved in a sentence and four numbers; whether the method and the images earned it."""
    result = folder.result()
    with room("numbers", HEIGHT_REM):
        if result is None and state_of(folder) in ENDED_EARLY:
            st.caption(
                "It ended before the answers were judged to the end: there are no numbers. Images and Layers "
                "show how far it came."
            )
        elif result is None:
            st.caption(
                "The numbers stand here when the run is done: how often the student is right, beside its "
                "teacher, and what it weighs."
            )
        else:
            st.markdown(outcome_verdict(result))
            headline(folder)
    with st.container():
        judging_section(folder, history)
    if result is None:
        not_here(dict.fromkeys(ALL, why_not(folder)))
        return
    with st.container():
        result_panels.result_panel(folder)
    with st.container():
        flips.flips_section(folder, len(history.started["layers"]))
    with st.container(key="answers-more"):
        with st.container():
            costs.costs_section(folder, len(history.started["layers"]))
        with st.container():
            gain.gain_panel(folder)
        with st.container():
            images_worth.triad(folder)
    not_here(
        {flips.TITLE: flips.why_no_flips(folder)}
        | {costs.TITLES[one]: why_unanswered(folder, one) for one in costs.QUESTIONS}
        | {gain.TITLE: gain.why_no_gain(folder.recipe)}
    )
    look_again(any(is_pending(folder, one) for one in (flips.QUESTION, *costs.QUESTIONS)))
