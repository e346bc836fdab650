"""Do cheaper measures find the same layers? Each layer's rank by four, how they agree, their time."""

from typing import Any

import streamlit as st

from app.charts.why.sensitivities import MEASURES, agreement, ranks
from app.components import mount
from app.panels.new_run.more_bits import more_bits_button
from app.panels.shared.ask_why import MOST_BITS, closed_question
from app.panels.shared.csv_button import csv_button
from app.text import explain
from app.wording.engine_words import page_text
from app.wording.words import NO_BREAK, plain
from engine.run.folders.folder import RunFolder

QUESTION = "sensitivities"
TITLE = "Which layers mind most, and by which measure?"
SHOWN = 4  # bits at first


def sensitivities_section(folder: RunFolder, chosen: str, layers: int) -> bool:
    """The question, closed until it is opened; whether an answer is awaited."""
    return closed_question(
        folder,
        QUESTION,
        TITLE,
        layers,
        lambda found: _found(folder, found, chosen),
    )


def _found(folder: RunFolder, found: dict[str, Any], chosen: str) -> None:
    st.markdown(f"**{page_text(found['sentence'])}**", help=explain(QUESTION))
    widths = found["widths"]
    width = st.segmented_control(
        "Bits of the one layer", widths, default=SHOWN, key="sensitivities-bits", required=True,
    )  # fmt: skip
    left, right = st.columns([3, 2], gap="medium")
    with left:
        chart = ranks(found, width)
        mount.live_plot(chart, key=f"ranks-{folder.run_id}-{width}", run=folder.run_id, offset=0)
        st.caption("The rank of each layer; 1 minds most.")
        if line := of_layer(found, chosen, width):
            st.caption(plain(line))
    with right:
        chart = agreement(found)
        mount.live_plot(chart, key=f"agree-{folder.run_id}", run=folder.run_id, offset=0)
        st.caption("Spearman's rank correlation over the layers, its mean over all these bits.")
        names = ("Measure", "Kendall's τ with the answers", "Time")
        measures = [dict(zip(names, row, strict=True)) for row in measure_rows(found)]
        lines = (f"| {' | '.join(row.values())} |" for row in measures)
        st.markdown("\n".join([f"| {' | '.join(names)} |", "|:--|--:|--:|", *lines]))
    for note in found["notes"]:
        st.caption(page_text(note))
    with st.container(horizontal=True):
        first = minds_most(found, width)
        more_bits_button(folder, first, f"Try {first} at {MOST_BITS} bits", key="ranks-try")
        csv_button(table_rows(found), folder.run_id, "sensitivities", label="Layers, CSV")
        csv_button(measures, folder.run_id, "measures", label="Measures, CSV")


def minds_most(found: dict[str, Any], width: int) -> str:
    """The layer that minds so many bits most: by the answers, where they were measured."""
    by = "kl" if "kl" in found["measures"] else found["measures"][-1]
    first = min(found["layers"], key=lambda one: float(one["ranks"][by][str(width)]))
    return str(first["path"])


def of_layer(found: dict[str, Any], path: str, width: int) -> str:
    """The chosen layer's ranks in words; nothing of a layer that was not measured."""
    for row in found["layers"]:
        if row["path"] == path:
            said = (
                f"{row['ranks'][kind][str(width)]:g} by {MEASURES[kind]}"
                for kind in found["measures"]
            )
            return f"{path}: rank {', '.join(said)}, of {len(found['layers'])}."
    return ""


def measure_rows(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    """A row a measure: how it agrees with the answers, and what it took; then what all of them share."""
    with_answers = {one["a"]: one["kendall"] for one in found["agreement"] if one["b"] == "kl"}
    rows = []
    for kind in found["measures"]:
        tau = with_answers.get(kind)
        rows.append(
            (
                MEASURES[kind],
                "–" if tau is None else f"{tau:+.2f}",
                _seconds(found["seconds"][kind]),
            )
        )
    return [*rows, ("grids, for all", "–", _seconds(found["seconds"]["fitting"]))]


def _seconds(value: float) -> str:
    return f"{value:.2g}{NO_BREAK}s" if value < 100 else f"{value:,.0f}{NO_BREAK}s"


def table_rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for each layer, width and measure."""
    return [
        {
            "layer": row["path"], "bits": width, "measure": kind,
            "value": row["values"][kind][str(width)], "rank": row["ranks"][kind][str(width)],
            "curvature_trace": row["trace"] if kind == "hessian" else None,
        }
        for row in found["layers"]
        for width in found["widths"]
        for kind in found["measures"]
    ]  # fmt: skip
