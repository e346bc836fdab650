"""What does it cost? Counted, estimated, measured; and how small the codes get."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from app.charts.style import LiveFigure
from app.charts.why.packing import against_sparsity, code_lengths, packings
from app.charts.why.planes import of_planes, words
from app.components import mount
from app.panels.shared.ask_why import ask_for, known, why_unanswered
from app.panels.shared.csv_button import csv_button
from app.panels.shared.folded import folded
from app.text import explain
from app.wording.engine_words import page_text
from app.wording.words import NO_BREAK, count_words, plain, size_words
from engine.core.percent import percent
from engine.export.sheets import flat
from engine.run.folders.folder import RunFolder
from engine.run.folders.opened import opened_from

TITLES = {
    "resources": "What does it cost?",
    "storage": "How small do the codes get?",
}
HELP = {"resources": "costs", "storage": "packed"}


def costs_section(folder: RunFolder, layers: int) -> None:
    """Both questions side by side, and what is known of them; nothing of a run without a result.

    One that cannot be asked is left out: the tab says why at its end.
    """
    there = [one for one in QUESTIONS if not why_unanswered(folder, one)]
    if folder.result() is None or not there:
        return
    for column, question in zip(st.columns(2, gap="medium"), there, strict=False):
        with column:
            st.subheader(TITLES[question], help=explain(HELP[question]))
            found = known(folder, question)
            if found is not None:
                DRAW[question](folder, found)
            else:
                ask_for(folder, question, layers)


def _resources(folder: RunFolder, found: Mapping[str, Any]) -> None:
    """The sentence; closed: each cost of both networks, and how it is known."""
    st.markdown(f"**{page_text(found['sentence'])}**")
    title = "Bytes, operations, energy and time of both"
    draw = partial(_each_cost, folder, found)
    folded(title, draw, key="resources-more", icon=":material/table_rows:")


def _each_cost(folder: RunFolder, found: Mapping[str, Any]) -> None:
    lines = ["| | Float | Quantized |", "|:--|--:|--:|"]
    st.markdown("\n".join([*lines, *(f"| {' | '.join(row)} |" for row in cost_rows(found))]))
    csv_button([flat(found)], folder.run_id, "costs")
    if found["latency_note"]:
        st.caption(page_text(found["latency_note"]))
    st.caption(plain(known_words(found, here=not opened_from(folder.path))))


def known_words(found: Mapping[str, Any], *, here: bool = True) -> str:
    """How each of the costs is known; `here`: whether the run was computed here, and not opened."""
    time = found["latency_ms"]
    measured = ""
    if time is not None:
        threads = f"{time['threads']} thread{'s' if time['threads'] > 1 else ''}"
        where = "on this machine" if here else "where the run was computed"
        measured = f" Time is measured {where}, {threads}."
    return (
        "All for one image. Bytes and bit operations are counted. Energy is estimated, its order at most: by "
        f"{found['energy_uj']['source']}.{measured}"
    )


def cost_rows(found: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """A row a cost: the float network's, and the quantized one's."""
    size, moved, spent = found["bytes"], found["bit_operations"], found["energy_uj"]
    float_, quantized = spent["fp32"], spent["quantized"]
    rows = [
        ("Bytes", size_words(size["fp32"]), size_words(size["quantized"])),
        ("Bit operations", count_words(moved["fp32"]), count_words(moved["quantized"])),
        ("Energy: arithmetic", _uj(float_["arithmetic"]), _uj(quantized["arithmetic"])),
    ]  # fmt: skip
    for key, where in (("weights_cached", "cache"), ("weights_dram", "DRAM")):
        name = f"Energy: weights, {where}"
        rows.append((name, _range(float_[key]), _range(quantized[key])))
    time = found["latency_ms"]
    if time is not None:
        rows.append(("Time", f"{time['float']:.3g} ms", f"{time['quantized']:.3g} ms"))
    return [(name, a.replace(" ", NO_BREAK), b.replace(" ", NO_BREAK)) for name, a, b in rows]


def _uj(value: float) -> str:
    return f"{_short(value)} µJ"


def _range(ends: list[float]) -> str:
    return f"{_short(ends[0])}–{_short(ends[1])} µJ"


def _short(value: float) -> str:
    """Two digits at least, none behind the point from a hundred on."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def _storage(folder: RunFolder, found: Mapping[str, Any]) -> None:
    """The sentence, and planes where there are any; closed: the bytes of each packing, layer by layer."""
    total = found["total"]
    st.markdown(
        f"**In a file of their own, {total['weights']:,} codes and their grids take "
        f"{size_words(total['file_bytes'])}, {percent(total['ratio'])} of the float weights; every code was "
        "read back as it was.**"
    )
    if rows := found.get("planes"):
        _planes(folder, rows)
    title = "Bytes of each packing, and of every layer"
    draw = partial(_packings, folder, found)
    folded(title, draw, key="storage-more", icon=":material/table_rows:")


def _packings(folder: RunFolder, found: Mapping[str, Any]) -> None:
    _draw(packings(found["total"]), folder, "packings")
    _further(folder, found)
    frame = pd.DataFrame(storage_rows(found))
    st.dataframe(frame, hide_index=True)
    csv_button(frame, folder.run_id, "storage")
    for note in found["notes"]:
        st.caption(page_text(note))


def _draw(figure: LiveFigure, folder: RunFolder, name: str) -> None:
    mount.live_plot(figure, key=f"{name}-{folder.run_id}", run=folder.run_id, offset=0)


def _further(folder: RunFolder, found: Mapping[str, Any]) -> None:
    """How long codes are, and what more zeros would do; answers of older versions have neither."""
    if all("lengths" in row for row in found["layers"]):
        _draw(code_lengths(found["layers"]), folder, "lengths")
    if pruned := found.get("crossing"):
        _draw(against_sparsity(pruned), folder, "sparsity")
        st.caption(plain(crossing_words(pruned)))


def crossing_words(found: Mapping[str, Any]) -> str:
    """Of which layer the curves are, and where they cross."""
    where = found["sparse_from"]
    wins = (
        "is never the smallest"
        if where is None
        else f"is the smallest from {percent(where)} zeros on"
    )
    return (
        f"{found['path']}, its smallest weights pruned further and further, by bytes that were written: the "
        f"sparse form {wins}."
    )


def _planes(folder: RunFolder, rows: Sequence[Mapping[str, Any]]) -> None:
    """Planes lit one by one: bytes and answers move with them."""
    st.markdown("**In a file of planes, the first alone are a network of fewer bits.**")
    read = st.slider(
        "Planes read", 1, len(rows), len(rows), key=f"planes-{folder.run_id}",
        help="From the most significant bit on; the weights at so many planes are drawn on the tab Layers.",
    )  # fmt: skip
    figure = of_planes(rows, read)
    name = f"planes-{folder.run_id}-{read}"
    mount.live_plot(
        figure, key=f"planes-drawn-{folder.run_id}", name=name, run=folder.run_id, offset=0
    )
    st.caption(
        f"{read} of {len(rows)} planes: {words(rows[read - 1])}. What was read computes just what the codes "
        "compute at so many bits, bit for bit."
    )


def storage_rows(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row a layer, in bytes and bits a weight."""
    return [
        {
            "Layer": row["path"],
            "Weights": row["weights"],
            "Zero, %": round(100 * row["zeros"], 1),
            "Entropy, bits a weight": round(row["entropy_bits"], 3),
            "Packed, bytes": row["bytes"]["packed"],
            "Huffman, bytes": row["bytes"]["huffman"],
            "Sparse, bytes": row["bytes"]["sparse"],
            "Smallest": row["form"],
            "Grid, bytes": row["grid_bytes"],
        }
        for row in found["layers"]
    ]


DRAW = {"resources": _resources, "storage": _storage}
QUESTIONS = tuple(DRAW)  # that are asked beside the page
