"""What does quantization do to each layer? Where does the error enter, and is it repaired?"""

import streamlit as st

from app.charts import quantization, reconstruction
from app.charts.verdicts import inherited_verdict, layers_verdict
from app.components import mount
from app.history import History, read_history
from app.panels.allocation import allocation_panel
from app.panels.branch import ablations
from app.panels.gain import gain_panel
from app.panels.growth import live_chart
from app.panels.layer_costs import layer_costs_panel
from app.panels.layer_detail import layer_detail
from app.panels.nothing import nothing_yet
from app.panels.policy import forms_of, policy_panel, takes_steps
from app.panels.result import result_panel
from app.panels.run_head import is_live, run_head
from app.panels.triad import triad
from app.state import current_run
from app.text import explain
from engine.run.folder import RunFolder


@st.fragment
def verdict(folder: RunFolder, history: History) -> None:
    """A sentence on the layers; drawn again, alone, when a block is done."""
    at = {"run": folder.run_id, "offset": history.offset, "live": is_live(folder)}
    mount.pulse(key="pulse-verdict", kinds=["layer-measured"], states=False, **at)
    history = read_history(folder)
    measured = history.layers_measured()
    total = len(history.started["layers"])
    st.markdown(f"{layers_verdict(measured, total)} {inherited_verdict(measured)}")


folder = current_run()
if folder is None:
    nothing_yet()
    st.stop()

history = read_history(folder)
run_head(folder, history)
result_panel(folder)
with st.container():  # always there, so that what follows keeps its place on the page
    gain_panel(folder)
what_if = st.container()  # filled last: a fresh installation's catalog takes seconds
layers, blocks = history.started["layers"], history.started["blocks"]

st.subheader("Where does the error enter?", help=explain("sqnr"))
verdict(folder, history)
if not layers:
    st.info("The layers appear when the worker has loaded the network.")
    st.stop()
picked = live_chart(quantization.layer_bars(layers), folder, history, key="bars", pick="category")
if picked:
    st.query_params["layer"] = picked
with st.container():
    layer_detail(folder, history)
with st.container():
    layer_costs_panel(folder)
with st.container():
    allocation_panel(folder, history)

stages = {event["stage"] for event in history.of("stage-started")}
if "quantization" in stages and takes_steps(folder.recipe):
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("What is the block at work doing?", help=explain("reconstruction"))
        live_chart(reconstruction.block_at_work(), folder, history, key="block")
    with right:
        st.subheader("How far did each block come?", help=explain("reconstruction"))
        loss = "error" if "path" in forms_of(folder.recipe) else "reconstruction"
        live_chart(reconstruction.block_multiples(blocks, loss), folder, history, key="multiples")
    st.subheader("How many codes left the nearest?", help=explain("flipped"))
    live_chart(quantization.flipped_bars(layers), folder, history, key="flipped")
elif "quantization" in stages and not forms_of(folder.recipe):
    st.caption("This quantizer learns nothing: there is no block to reconstruct, no code to move.")
elif "quantization" not in stages:
    st.caption("The blocks are reconstructed when the images are done: watch them in the Live lab.")
if "quantization" in stages:
    policy_panel(folder, history)
if "evaluation" in stages:
    st.subheader("How right are teacher and student?", help=explain("judging"))
    live_chart(reconstruction.judging(), folder, history, key="judging")

if folder.result() is not None:
    triad(folder)
with what_if:
    ablations(folder, "quantization")
