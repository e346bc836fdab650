"""What did the bits cost the answers?"""

import streamlit as st

from app.charts import reconstruction
from app.history import History
from app.panels.answers.result import result_panel
from app.panels.answers.triad import triad
from app.panels.images.growth import live_chart
from app.text import explain
from engine.run.folders.folder import RunFolder


def judging_section(folder: RunFolder, history: History) -> None:
    """Both accuracies as the test images are judged."""
    if any(history.of("stage-started", stage="evaluation")):
        st.subheader("How right are teacher and student?", help=explain("judging"))
        live_chart(reconstruction.judging(), folder, history, key="judging")


def draw(folder: RunFolder, history: History) -> None:
    """Both accuracies while they are judged, the result, and what the missing data costs."""
    with st.container():
        judging_section(folder, history)
    with st.container():
        result_panel(folder)
    with st.container():
        if folder.result() is not None:
            triad(folder)
