"""How far did the weights move? Each layer's drift from the teacher; scales and orders do not count."""

from typing import Any

import streamlit as st

from app.charts.why.similarity import alike_map, drifts
from app.components import mount
from app.panels.new_run.more_bits import more_bits_button
from app.panels.shared.ask_why import MOST_BITS, closed_question
from app.panels.shared.csv_button import csv_button
from app.text import explain
from app.wording.engine_words import page_text
from app.wording.words import plain
from engine.run.folders.folder import RunFolder

QUESTION = "similarity"
TITLE = "How far did the weights move?"
RANKS = (  # from which rank correlation on what is said of it
    (0.7, "rank alike"),
    (0.3, "rank loosely alike"),
    (-0.3, "have little to do with each other"),
    (-1.0, "rank the other way round"),
)


def drift_section(folder: RunFolder, chosen: str, layers: int) -> bool:
    """The question, closed until it is opened; whether an answer is awaited."""
    return closed_question(
        folder,
        QUESTION,
        TITLE,
        layers,
        lambda found: _found(folder, found, chosen),
    )


def _found(folder: RunFolder, found: dict[str, Any], chosen: str) -> None:
    st.markdown(verdict(found), help=explain(QUESTION))
    left, right = st.columns([3, 2], gap="medium")
    with left:
        chart = drifts(found["layers"], chosen)
        mount.live_plot(chart, key=f"drift-{folder.run_id}", run=folder.run_id, offset=0)
    with right:
        chart = alike_map(found["matrix"])
        mount.live_plot(chart, key=f"alike-{folder.run_id}", run=folder.run_id, offset=0)
    for note in found["notes"]:
        st.caption(page_text(note))
    with st.container(horizontal=True, vertical_alignment="center"):
        if (worst := moved_most(found)) is not None:
            label = f"Try {worst['path']} at {MOST_BITS} bits"
            more_bits_button(folder, worst["path"], label, key="drift-try")
        csv_button(found["layers"], folder.run_id, "similarity")


def moved_most(found: dict[str, Any]) -> dict[str, Any] | None:
    """The layer of the largest drift; None where none can be compared."""
    known_ones = [one for one in found["layers"] if one["drift"] is not None]
    return max(known_ones, key=lambda one: float(one["drift"]), default=None)


def verdict(found: dict[str, Any]) -> str:
    """The layer that moved most, and whether drift goes along with the error that weights bring."""
    worst = moved_most(found)
    if worst is None:
        return "No layer's weights can be compared."
    said = (
        f"**The weights of `{plain(worst['path'])}` moved most**: a cosine of {worst['chain']:.4f}."
    )
    rank = found["drift_rank"]
    if rank is None:
        return said
    how = next((words for least, words in RANKS if rank >= least), RANKS[-1][1])
    return f"{said} Over the layers, drift and the noise that weights bring {how} (Spearman {rank:+.2f})."
