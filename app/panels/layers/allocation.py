"""Where the bits went, for a run that chose them by measuring."""

import streamlit as st

from app.charts.layers import allocation as charts
from app.charts.layers.allocation import additivity_words, allocation_words
from app.components import mount
from app.panels.shared.ask_why import why_not
from app.run_files.history import History
from app.text import explain
from engine.run.folders.folder import RunFolder
from engine.run.recipes.layer_bits import CHOOSES_ITSELF

TITLE = "Where did the bits go?"


def why_no_allocation(folder: RunFolder, history: History) -> str:
    """Why a run that chooses its bits does not show them; empty where it does, or chooses none."""
    if folder.recipe.quantization not in CHOOSES_ITSELF or history.last("bits-chosen") is not None:
        return ""
    if folder.result() is None:
        return why_not(folder)
    return "An older version kept no record of how they were chosen: run the recipe again."


def allocation_panel(folder: RunFolder, history: History) -> None:
    """The front with the chosen point, the bits of every layer, and a sentence on what they are worth."""
    chosen = history.last("bits-chosen")
    if chosen is None:
        return
    report = charts.in_todays_words(chosen["report"])
    st.subheader(TITLE, help=explain("allocation"))
    st.markdown(allocation_words(report))
    if report.get("additivity"):
        st.markdown(additivity_words(report["additivity"]))
    left, right = st.columns([2, 3], gap="medium")
    with left:
        mount.live_plot(
            charts.front(report), key=f"front-{folder.run_id}", run=folder.run_id, offset=0
        )
    with right:
        figure = charts.bits(chosen["weight_bits"], report, chosen.get("activation_bits"))
        mount.live_plot(figure, key=f"bits-{folder.run_id}", run=folder.run_id, offset=0)
    if "kernels" in report:
        st.caption(
            "What each layer takes alone in ONNX Runtime, on the machine that chose; full: as it runs."
        )
        figure = charts.kernels(report)
        mount.live_plot(figure, key=f"kernels-{folder.run_id}", run=folder.run_id, offset=0)
