"""What is learned block by block: the block at work while it is, and every block again afterwards."""

import streamlit as st

from app.charts.layers import layer_errors, reconstruction
from app.panels.head.outcome import is_watched
from app.panels.images.growth import live_chart
from app.panels.layers.at_work.policy import WHOLE, forms_of, policy_panel, takes_steps
from app.panels.shared.folded import folded
from app.run_files.history import History
from app.text import explain
from engine.run.folders.folder import RunFolder

TITLE = "For experts: how each block was learned"
LEARNS_NOTHING = "This quantizer learns nothing: there is no block to reconstruct, no code to move."


def blocks_at_work(folder: RunFolder, history: History) -> None:
    """The losses of the block at work beside its rounding; of a run that was over before: nothing."""
    if not is_watched(folder):
        return
    stages = {event["stage"] for event in history.of("stage-started")}
    if "quantization" not in stages:
        if takes_steps(folder.recipe):
            st.caption("What it learns is drawn here when the images are done.")
        return
    if not takes_steps(folder.recipe):
        _what_it_does(folder, history)
        return
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("What is the block at work doing?", help=explain("reconstruction"))
        live_chart(reconstruction.block_at_work(), folder, history, key="block")
    with right:
        policy_panel(folder, history)


def _what_it_does(folder: RunFolder, history: History) -> None:
    if forms_of(folder.recipe, history):
        policy_panel(folder, history)
    else:
        st.caption(LEARNS_NOTHING)


def blocks_again(folder: RunFolder, history: History) -> None:
    """For experts, closed: how far each block came, which codes moved, and the rounding look by look."""
    forms = forms_of(folder.recipe, history)
    learns = takes_steps(folder.recipe) and not set(forms) & set(WHOLE)
    if why_no_blocks(folder, history):
        return
    asked = any(f"{form}-block" in st.query_params for form in forms)

    def draw() -> None:
        if not is_watched(folder):
            policy_panel(folder, history)
        if learns:
            _each_block(folder, history)

    icon = ":material/stacked_line_chart:"
    folded(TITLE, draw, key="blocks-more", icon=icon, expanded=asked)


def why_no_blocks(folder: RunFolder, history: History) -> str:
    """Why no block was learned that could be looked at again, in a sentence; empty where one was."""
    learns = takes_steps(folder.recipe) or forms_of(folder.recipe, history)
    return "" if learns else LEARNS_NOTHING


def _each_block(folder: RunFolder, history: History) -> None:
    layers, blocks = history.started["layers"], history.started["blocks"]
    st.subheader("How far did each block come?", help=explain("reconstruction"))
    loss = "error" if "path" in forms_of(folder.recipe, history) else "reconstruction"
    live_chart(reconstruction.block_multiples(blocks, loss), folder, history, key="multiples")
    st.subheader("How many codes left the nearest?", help=explain("flipped"))
    live_chart(layer_errors.flipped_bars(layers), folder, history, key="flipped")
