"""What is learned block by block: the block at work while it is, and every block again afterwards."""

import streamlit as st

from app.charts.layers import layer_errors, reconstruction
from app.panels.head.outcome import is_watched
from app.panels.images.growth import live_chart
from app.panels.layers.at_work.policy import WHOLE, forms_of, policy_panel, takes_steps
from app.panels.shared.folded import folded
from app.run_files.history import History
from app.run_files.run_folders import is_live
from app.text import explain
from app.wording.words import plain
from engine.core.percent import percent
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
    if not is_live(folder):
        st.markdown(block_words(history, loss))
    live_chart(reconstruction.block_multiples(blocks, loss), folder, history, key="multiples")
    st.subheader("How many codes left the nearest?", help=explain("flipped"))
    if not is_live(folder):
        st.markdown(flipped_words(history))
    live_chart(layer_errors.flipped_bars(layers), folder, history, key="flipped")


def block_words(history: History, loss: str) -> str:
    """The block that is furthest from what it should give still, of what it began with; empty without any."""
    ends: dict[str, tuple[float, float]] = {}
    for event in history.of("stepped", stage="quantization"):
        value = (event.get("losses") or {}).get(loss)
        if value is not None and value > 0:
            first, _ = ends.get(event["part"], (value, value))
            ends[event["part"]] = (first, value)
    if not ends:
        return ""
    left = {block: last / first for block, (first, last) in ends.items()}
    worst = max(left, key=lambda block: left[block])
    return (
        f"`{plain(worst)}` came the shortest way: at its last step {percent(left[worst], 0)} of the error is "
        "left with which it began."
    )


def flipped_words(history: History) -> str:
    """The layer in which most codes were moved; empty where nothing is known of them."""
    measured = history.layers_measured()
    moved = {e["path"]: e["values"].get("flipped") for e in measured}
    known = {path: share for path, share in moved.items() if share is not None}
    if not known:
        return ""
    most = max(known, key=lambda path: float(known[path]))
    return f"Most codes were moved in `{plain(most)}`: {percent(known[most])} of them."
