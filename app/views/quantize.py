"""What does quantization do to each layer? Where does the error enter, and is it repaired?

What comes later in a run stands further down, so that nothing that is looked at moves.
"""

import streamlit as st

from app.charts import quantization, reconstruction
from app.charts.verdicts import inherited_verdict, layers_verdict
from app.history import History, read_history
from app.panels.allocation import allocation_panel
from app.panels.branch import ablations
from app.panels.gain import gain_panel
from app.panels.growth import live_chart
from app.panels.layer_costs import layer_costs_panel
from app.panels.layer_detail import layer_detail
from app.panels.nothing import nothing_yet
from app.panels.outcome import notes
from app.panels.policy import forms_of, policy_panel, takes_steps
from app.panels.result import result_panel
from app.panels.room import ROW_REM, room
from app.panels.run_head import run_head
from app.panels.triad import triad
from app.state import current_run
from app.text import explain
from engine.run.folder import RunFolder

VERDICT_REM = 3.2  # two lines


def layer_section(folder: RunFolder, history: History) -> None:
    """The bars of all layers under a sentence on them; then the layer that is looked at."""
    layers = history.started["layers"]
    st.subheader("Where does the error enter?", help=explain("sqnr"))
    measured = history.layers_measured()
    with room("verdict", VERDICT_REM):
        st.markdown(f"{layers_verdict(measured, len(layers))} {inherited_verdict(measured)}")
    chart = quantization.layer_bars(layers)
    picked = live_chart(chart, folder, history, key="bars", pick="category")
    if picked:
        st.query_params["layer"] = picked
    with st.container():
        layer_detail(folder, history)


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
    if "evaluation" in stages:
        st.subheader("How right are teacher and student?", help=explain("judging"))
        live_chart(reconstruction.judging(), folder, history, key="judging")


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
# A container each: what appears in one leaves the others where, and as, they are.
sections = [st.container() for _ in range(6)]
with sections[0]:
    layer_section(folder, history)
with sections[1]:
    allocation_panel(folder, history)
with sections[2]:
    block_section(folder, history)
with sections[3]:
    notes(folder, history, late=True)
with sections[4]:
    result_panel(folder)
    gain_panel(folder)
with sections[5]:
    layer_costs_panel(folder)
    if folder.result() is not None:
        triad(folder)
