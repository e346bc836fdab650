"""What does quantization do to each layer? Where does the error enter, and is it repaired?"""

import streamlit as st

from app.charts import quantization, reconstruction
from app.charts.verdicts import inherited_verdict, layers_verdict
from app.history import History
from app.panels.answers.nearest_comparison import gain_panel
from app.panels.head.run_head import is_live
from app.panels.head.what_if import ablations
from app.panels.images.growth import live_chart
from app.panels.layers.allocation import allocation_panel
from app.panels.layers.layer_costs import layer_costs_panel
from app.panels.layers.layer_detail import layer_detail
from app.panels.layers.policy import forms_of, policy_panel, takes_steps
from app.panels.room import ROW_REM, room
from app.text import explain
from engine.run.folders.folder import RunFolder

VERDICT_REM = 3.2  # two lines


def layer_section(folder: RunFolder, history: History) -> None:
    """The bars of all layers under a sentence on them."""
    layers = history.started["layers"]
    st.subheader("Where does the error enter?", help=explain("sqnr"))
    measured = history.layers_measured()
    with room("verdict", VERDICT_REM):
        st.markdown(f"{layers_verdict(measured, len(layers))} {inherited_verdict(measured)}")
    chart = quantization.layer_bars(layers)
    picked = live_chart(chart, folder, history, key="bars", pick="category")
    if picked:
        st.query_params["layer"] = picked


def block_section(folder: RunFolder, history: History) -> None:
    """What is learned block by block, by the quantizers that learn."""
    stages = {event["stage"] for event in history.of("stage-started")}
    if "quantization" not in stages:
        st.caption(
            "The blocks are reconstructed when the images are done: watch them on the tab Images."
        )
        return
    if takes_steps(folder.recipe):
        _blocks(folder, history)
    elif not forms_of(folder.recipe):
        st.caption(
            "This quantizer learns nothing: there is no block to reconstruct, no code to move."
        )
    policy_panel(folder, history)


def _blocks(folder: RunFolder, history: History) -> None:
    layers, blocks = history.started["layers"], history.started["blocks"]
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("What is the block at work doing?", help=explain("reconstruction"))
        live_chart(reconstruction.block_at_work(), folder, history, key="block")
    with right:
        st.subheader("How far did each block come?", help=explain("reconstruction"))
        loss = "error" if "path" in forms_of(folder.recipe) else "reconstruction"
        chart = reconstruction.block_multiples(blocks, loss)
        live_chart(chart, folder, history, key="multiples")
    st.subheader("How many codes left the nearest?", help=explain("flipped"))
    live_chart(quantization.flipped_bars(layers), folder, history, key="flipped")


def is_watched(folder: RunFolder) -> bool:
    """Whether the run was at work when this page was opened for it, and so for as long as it stays open."""
    opened: dict[str, bool] = st.session_state.setdefault("opened-at-work", {})
    return opened.setdefault(folder.run_id, is_live(folder))


def draw(folder: RunFolder, history: History) -> None:
    """Bars of all layers, one layer below, what was learned, what each layer costs."""
    with room("what-if", ROW_REM), st.container(horizontal=True, vertical_alignment="center"):
        ablations(folder, "quantization")
    if not history.started["layers"]:
        st.info("The layers appear when the worker has loaded the network.")
        return
    with st.container():
        layer_section(folder, history)
    # A container each: what appears in one leaves the others where, and as, they are.
    places = [st.container() for _ in range(3)]
    if is_watched(folder):  # in the order in which they come, so that none pushes another away
        places = [places[2], places[1], places[0]]
    with places[0]:
        layer_detail(folder, history)
    with places[1]:
        allocation_panel(folder, history)
    with places[2]:
        block_section(folder, history)
    with st.container():
        gain_panel(folder)
    with st.container():
        layer_costs_panel(folder)
