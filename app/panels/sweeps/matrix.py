"""A sweep's matrix: a row for each network, images and quantizer, a column for each number of bits."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from app.access.visitors import may_control
from app.charts.outcomes.results import Accuracy, accuracies
from app.charts.style import SERIES, LiveFigure
from app.components import mount
from app.engine_calls.background import look_again
from app.engine_calls.choices import title_of
from app.engine_calls.sweeps import kept_plan, start_sweep, stop_sweep
from app.panels.shared.csv_button import csv_button
from app.panels.shared.press import button
from app.run_files.run_folders import runs_folder
from app.wording.engine_words import page_text
from app.wording.words import plain
from engine.core.errors import UserError
from engine.core.percent import BAND, SIGN
from engine.run.sweeps import process
from engine.run.sweeps.cells import cells_of

MEASURES = {
    "quantized_top1": "top-1 accuracy of the quantized network",
    "agreement": "share of images that get the same answer as from the float network",
    "embedding_cosine": "cosine of the embeddings with the float network's",
    "output_sqnr_db": "signal to quantization noise of the output, in dB",
}
MOST_DOTS = 36  # more cells are a table alone
PERCENT = ("quantized_top1", "agreement")


def sweep_matrix(folder: Path) -> None:
    """How far it is, what the cells hold so far, and what cannot be told apart."""
    asked_s = (folder / process.ASKED).stat().st_mtime
    cells = cells_of(kept_plan(str(runs_folder()), folder.name, asked_s), runs_folder())
    at_work = process.is_at_work(folder)
    done = sum(len(cell["seeds"]) for cell in cells)
    wanted = sum(cell["planned"] for cell in cells if not cell["reason"])
    st.progress(done / wanted if wanted else 1.0, text=_state(done, wanted, at_work=at_work))
    st.markdown(verdict(cells))
    _chart(folder, cells)
    rows = rows_of(cells)
    st.dataframe(varied(rows), hide_index=True, width="stretch", key=f"sweep-{folder.name}")
    csv_button(rows, folder.name, "sweep", words="Every cell with its mean and band.")
    measures = [name for name in MEASURES if any(cell["measure"] == name for cell in cells)]
    if measures:
        st.caption(
            f"Shown: {'; '.join(MEASURES[name] for name in measures)}; more is better. "
            f"In brackets, and as lines, the {BAND} band: from two seeds on that of the mean over seeds, of "
            "one seed that of its test images. *Largest*: of all cells with the same network and bits; *may "
            "be chance*: not distinguishable from it; *below*: it is not chance."
        )
    if may_control(folder):
        _steer(folder, at_work=at_work, whole=done >= wanted)
    look_again(at_work)


def _chart(folder: Path, cells: Sequence[dict[str, Any]]) -> None:
    """Every cell's mean as a dot on its band, a chart a network; nothing where it is no share."""
    drawn = [cell for cell in cells if not cell["reason"]]
    if len(drawn) > MOST_DOTS or not all(c["measure"] in ("", *PERCENT) for c in drawn):
        return
    for model in dict.fromkeys(cell["model"] for cell in drawn):
        dots = [cell for cell in drawn if cell["model"] == model]
        known = [cell for cell in dots if cell["low"] is not None]
        if known:
            st.markdown(f"**{plain(title_of('models', model))}**")
            chart = dots_of(known, dots)
            key = f"sweep-dots-{folder.name}-{model.replace('/', '-')}"
            read = sum(len(cell["seeds"]) for cell in known)
            mount.live_plot(chart, key=key, run=folder.name, offset=read)


def dots_of(known: Sequence[dict[str, Any]], cells: Sequence[dict[str, Any]]) -> LiveFigure:
    """The dots of one network: a row for each of its cells, a colour for each images and quantizer."""
    kinds = list(dict.fromkeys((cell["synthesis"], cell["quantization"]) for cell in cells))
    many = len({cell["synthesis"] for cell in cells}) > 1

    def name(cell: dict[str, Any]) -> str:
        parts = [title_of("quantization", cell["quantization"])]
        parts = [title_of("synthesis", cell["synthesis"]), *parts] if many else parts
        short = [title.partition(" (")[0] for title in parts]
        return " · ".join([f"W{cell['weight_bits']}A{cell['activation_bits']}", *short])

    rows = [
        Accuracy(
            name=name(cell), top1=cell["mean"], low=cell["low"], high=cell["high"],
            colour=SERIES[kinds.index((cell["synthesis"], cell["quantization"])) % len(SERIES)],
        )
        for cell in known
    ]  # fmt: skip
    agrees = known[0]["measure"] == "agreement"
    what = "same answers as the float network" if agrees else "top-1"
    in_order = sorted(cells, key=lambda cell: (-cell["weight_bits"], -cell["activation_bits"]))
    return accuracies(rows, [name(cell) for cell in in_order], what)


def varied(rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """The rows without what all of them share, which stands above the table; the quantizer always stays."""
    same = {
        name
        for name in ("Network", "Images")
        if len(rows) > 1 and len({row[name] for row in rows}) == 1
    }
    return [{name: text for name, text in row.items() if name not in same} for row in rows]


def rows_of(cells: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """The table, a string for each cell, in the order of the plan."""
    rows: dict[tuple[str, str, str], dict[str, str]] = {}
    for cell in cells:
        names = (cell["model"], cell["synthesis"], cell["quantization"])
        kinds = ("models", "synthesis", "quantization")
        titles = (title_of(kind, name) for kind, name in zip(kinds, names, strict=True))
        row = rows.setdefault(
            names, dict(zip(("Network", "Images", "Quantizer"), titles, strict=True))
        )
        row[f"W{cell['weight_bits']}A{cell['activation_bits']}"] = cell_words(cell)
    return list(rows.values())


def cell_words(cell: dict[str, Any]) -> str:
    """For example "88.1 % (87.2 to 89.0) · may be chance"."""
    if cell["reason"]:
        return "cannot work"
    if cell["mean"] is None:
        return "…"
    unit = SIGN if cell["measure"] in PERCENT else " dB" if cell["measure"] == MEASURE_DB else ""
    words = f"{_number(cell, 'mean')}{unit}"
    if cell["low"] is not None:
        words += f" ({_number(cell, 'low')} to {_number(cell, 'high')})"
    if len(cell["seeds"]) < cell["planned"]:
        words += f" · {len(cell['seeds'])} of {cell['planned']} seeds"
    if cell["best"]:
        return f"{words} · largest"
    told = {True: "may be chance", False: "below", None: ""}[cell["like_best"]]
    return f"{words} · {told}" if told else words


MEASURE_DB = "output_sqnr_db"


def _number(cell: dict[str, Any], name: str) -> str:
    if cell["measure"] in PERCENT:
        return f"{100 * cell[name]:.1f}"
    return f"{cell[name]:.1f}" if cell["measure"] == MEASURE_DB else f"{cell[name]:.3f}"


def verdict(cells: Sequence[dict[str, Any]]) -> str:
    """Of how many comparisons with the best of a network and bits chance can be ruled out."""
    judged = [c for c in cells if c["like_best"] is not None and not c["best"]]
    if not judged:
        return "Nothing can be compared yet."
    alike = sum(c["like_best"] for c in judged)
    if not alike:
        return "In every network and number of bits the largest value is not chance."
    return (
        f"Of {len(judged)} cells beside the largest of their network and bits, **{alike}** "
        f"{'is' if alike == 1 else 'are'} not distinguishable from it: the difference may be chance."
    )


def _state(done: int, wanted: int, *, at_work: bool) -> str:
    words = f"{done} of {wanted} runs finished"
    if done >= wanted:
        return words
    return words if at_work else f"{words}; the sweep has stopped"


def _steer(folder: Path, *, at_work: bool, whole: bool) -> None:
    try:
        if at_work and button("Stop", icon=":material/stop:", key="sweep-stop"):
            stop_sweep(folder)
            st.rerun()
        goes_on = not at_work and not whole
        if goes_on and button("Go on", icon=":material/play_arrow:", key="sweep-go-on"):
            start_sweep(process.request_of(folder))
            st.rerun()
    except (UserError, OSError) as error:
        st.error(page_text(error))
