"""Where the bits went, for a run that chose them by measuring."""

from typing import Any

import streamlit as st

from app.charts.layers import allocation as charts
from app.charts.layers.allocation import additivity_words, allocation_words
from app.components import mount
from app.panels.new_run.dialog import new_run_button
from app.panels.new_run.variants import same_recipe
from app.panels.shared.ask_why import why_not
from app.panels.shared.csv_button import csv_button
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
    with st.container(horizontal=True, vertical_alignment="center"):
        new_run_button(
            "Try another budget", key="allocation-try", wanted=same_recipe(folder.recipe),
            icon=":material/build:", help="Opens New run with this run's recipe: its budget is a setting.",
        )  # fmt: skip
        csv_button(table(report, chosen["weight_bits"]), folder.run_id, "allocation")


def table(report: dict[str, Any], weight_bits: dict[str, int]) -> list[dict[str, Any]]:
    """A row a layer: the bits of its weights, and its sensitivity at each number of bits tried."""
    tried = {one["path"]: one["sensitivity"] for one in report["layers"]}
    return [
        {"layer": path, "weight_bits": bits}
        | {f"sensitivity_{width}_bits": value for width, value in tried.get(path, {}).items()}
        for path, bits in weight_bits.items()
    ]
