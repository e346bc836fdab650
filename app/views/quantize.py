"""What does quantization do to each layer? Where does the error enter, and is it repaired?"""

import streamlit as st

from app.charts import quantization, reconstruction
from app.charts.verdicts import inherited_verdict, layers_verdict
from app.history import History, read_history
from app.panels.allocation import allocation_panel
from app.panels.branch import ablations
from app.panels.empty_page import nothing_yet
from app.panels.growth import live_chart
from app.panels.layer_costs import layer_costs_panel
from app.panels.layer_detail import layer_detail
from app.panels.nearest_comparison import gain_panel
from app.panels.outcome import notes
from app.panels.policy import forms_of, policy_panel, takes_steps
from app.panels.result import result_panel
from app.panels.room import ROW_REM, room
from app.panels.run_head import is_live, run_head
from app.panels.triad import triad
from app.state import current_run
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
            "The blocks are reconstructed when the images are done: watch them in the Live lab."
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


def judging_section(folder: RunFolder, history: History) -> None:
    """Both accuracies as the test images are judged."""
    if any(history.of("stage-started", stage="evaluation")):
        st.subheader("How right are teacher and student?", help=explain("judging"))
        live_chart(reconstruction.judging(), folder, history, key="judging")


def is_watched(folder: RunFolder) -> bool:
    """Whether the run was at work when this page was opened for it, and so for as long as it stays open."""
    opened: dict[str, bool] = st.session_state.setdefault("opened-at-work", {})
    return opened.setdefault(folder.run_id, is_live(folder))


folder = current_run()
if folder is None:
    nothing_yet()
    st.stop()

history = read_history(folder)
run_head(folder, history, kinds=["layer-measured"])
with room("what-if", ROW_REM), st.container(horizontal=True, vertical_alignment="center"):
    ablations(folder, "quantization")
    st.page_link(
        "views/lab.py",
        label="How did its images grow?",
        icon=":material/science:",
        query_params={"run": folder.run_id},
    )
if not history.started["layers"]:
    st.info("The layers appear when the worker has loaded the network.")
    st.stop()
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
    judging_section(folder, history)
with st.container():
    notes(folder, history, late=True)
with st.container():
    result_panel(folder)
    gain_panel(folder)
with st.container():
    layer_costs_panel(folder)
    if folder.result() is not None:
        triad(folder)
