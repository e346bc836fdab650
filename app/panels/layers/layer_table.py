"""All that is measured of the layers as tables: every layer with its numbers, one layer with its errors."""

from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from app.panels.shared.csv_button import csv_button
from app.text import explain
from app.wording.words import NO_BREAK
from engine.core.percent import SIGN
from engine.run.folders.folder import RunFolder

PARTS = {
    "local": ("Both", "weights and input quantized, on the float network's input"),
    "weights": ("Weights alone", "weights quantized, input float"),
    "activations": ("Activations alone", "input quantized, weights float"),
    "accumulated": ("With all before", "everything up to this layer quantized"),
}
SQNR = "Signal to quantization noise ratio of the layer's output"
MSE = (
    "Mean squared error of the layer's output, in its own squared units: compare it within a layer"
)
COSINE = "Cosine between the layer's output and the float network's"
HIGHER, LOWER, NEAR_ONE = "Higher is better.", "Lower is better.", "1 is best."


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A number of a layer; `form`: dB or percent (drawn as bars), else as printf takes it."""

    name: str
    label: str
    definition: str
    form: str
    always: bool = True  # else with all numbers only


def _errors(part: str) -> tuple[Column, Column, Column]:
    label, case = PARTS[part]
    return (
        Column(name=f"sqnr_{part}_db", label=label, form="dB", definition=f"{SQNR}: {case}. {HIGHER}"),
        Column(name=f"mse_{part}", label=f"MSE, {label.lower()}", form="%.3g", always=False,
               definition=f"{MSE}: {case}. {LOWER}"),
        Column(name=f"cosine_{part}", label=f"Cosine, {label.lower()}", form="%.5f", always=False,
               definition=f"{COSINE}: {case}. {NEAR_ONE}"),
    )  # fmt: skip


_OUTPUT = [column for part in PARTS for column in _errors(part)]
COLUMNS = (
    *(column for column in _OUTPUT if column.always),
    Column(name="weight_clip_share", label="Weights clipped", form="percent",
           definition="Weights beyond the grid by more than half a step. Lower is nearer to the weights."),
    Column(name="weight_dead_levels", label="Dead levels", form="percent",
           definition="Levels that no weight of their channel takes. Lower: the grid is used."),
    Column(name="flipped", label="Codes moved", form="percent",
           definition="Codes that are not at the nearest level. Neither good nor bad: what rounding did."),
    Column(name="input_clip_share", label="Inputs clipped", form="percent",
           definition="Values read that lie beyond the grid. Lower is nearer to the input."),
    Column(name="weight_bits", label="Weight bits", form="%d",
           definition="Bits asked for, or chosen by measuring. A code of GPFQ's alphabet 'paper' takes "
           "one bit more; stored bits and operations count it."),
    Column(name="activation_bits", label="Input bits", form="%d",
           definition="Bits asked for, or chosen by measuring, of what the layer reads."),
    Column(name="weight_entropy_bits", label="Bits used", form="%.2f",
           definition="Shannon entropy of the weights' codes. Near the weight bits: the codes carry much."),
    Column(name="weight_rmse_steps", label="RMSE / step", form="%.3f",
           definition="Root mean squared error of the weights over the scale of their grid. 0.289 is an "
           "even spread between levels; more: clipped, or moved for the output's sake."),
    Column(name="input_rmse_steps", label="Input RMSE / step", form="%.3f", always=False,
           definition="The same of what the layer reads. 0.289 is an even spread between levels; less: "
           "many values lie on a level, such as the zeros behind a ReLU."),
    *(column for column in _OUTPUT if not column.always),
    Column(name="weight_mse", label="MSE of weights", form="%.3g", always=False,
           definition=f"Mean squared error of the weights themselves. {LOWER}"),
    Column(name="weight_cosine", label="Cosine of weights", form="%.5f", always=False,
           definition=f"Cosine between the float and the quantized weights. {NEAR_ONE}"),
    Column(name="input_mse", label="MSE of input", form="%.3g", always=False,
           definition=f"Mean squared error of what the layer reads. {LOWER}"),
    Column(name="input_cosine", label="Cosine of input", form="%.5f", always=False,
           definition=f"Cosine between the float and the quantized input. {NEAR_ONE}"),
    Column(name="stored_bits", label="Stored bits", form="%d", always=False,
           definition="Bits of all the layer's codes and of its grids (scales, zero points). "
           "Lower is smaller."),
    Column(name="bit_operations", label="Bit operations", form="%d", always=False,
           definition="Multiply-accumulates of one image, times the bits of the weight, times those of the "
           "input. Lower is less arithmetic; it is no time."),
)  # fmt: skip


TAKEN = "layer-row"  # the row that the page knows of


def table(measured: dict[str, dict[str, float]], *, everything: bool = False) -> pd.DataFrame:
    """A row for each layer, a column for each number that any layer has."""
    columns = [
        column
        for column in COLUMNS
        if (everything or column.always) and any(column.name in v for v in measured.values())
    ]
    rows = [
        {"Layer": path} | {column.label: values.get(column.name) for column in columns}
        for path, values in measured.items()
    ]
    return pd.DataFrame(rows)


def layer_table(folder: RunFolder, measured: dict[str, dict[str, float]]) -> None:
    """The table, its rows to be chosen, and the same to take away with all numbers."""
    measured = _weighed(folder, measured)
    st.markdown("**Which layers are worse off?**", help=explain("layer"))
    whole = table(measured, everything=True)
    everything = st.toggle(
        "All numbers", key="all-numbers", bind="query-params",
        help="MSE and cosine beside the SQNR, the same of weights and input, stored bits, operations.",
    )  # fmt: skip
    frame = (whole if everything else table(measured)).copy()
    for label in (c.label for c in COLUMNS if c.form == "percent" and c.label in frame):
        frame[label] = 100 * frame[label].astype(float)
    highest = max(40.0, *(frame[label].max() for label, _ in PARTS.values() if label in frame))
    shown = {c.label: _drawn(c, highest) for c in COLUMNS if c.label in frame}
    shown["Layer"] = st.column_config.TextColumn("Layer", pinned=True)
    st.dataframe(
        frame, column_config=shown, hide_index=True, on_select="rerun", selection_mode="single-row",
        key=_key(folder),
    )  # fmt: skip
    if chosen_row(folder, list(measured)) != st.session_state.get(TAKEN):
        st.rerun()  # the layer is looked into above
    csv_button(whole, folder.run_id, "layers")


def chosen_row(folder: RunFolder, paths: list[str]) -> str | None:
    """The layer whose row is chosen in the table; None where none is, or the table is not drawn."""
    state = st.session_state.get(_key(folder))
    rows = state["selection"]["rows"] if state else []
    return paths[rows[0]] if rows and rows[0] < len(paths) else None


def _key(folder: RunFolder) -> str:
    return f"layer-table-{folder.run_id}"


def _weighed(
    folder: RunFolder, measured: dict[str, dict[str, float]]
) -> dict[str, dict[str, float]]:
    """With what each layer stores and moves, which a finished run's result says."""
    layers = {one["path"]: one for one in (folder.result() or {}).get("layers", [])}
    names = ("stored_bits", "bit_operations")
    return {
        path: values | {n: layers[path][n] for n in names if n in layers.get(path, {})}
        for path, values in measured.items()
    }


def _drawn(column: Column, highest: float) -> Any:
    if column.form == "dB":
        return st.column_config.ProgressColumn(
            column.label, help=column.definition, format="%.1f dB", min_value=0, max_value=highest
        )
    if column.form == "percent":
        return st.column_config.ProgressColumn(
            column.label, help=column.definition, format=f"%.1f{SIGN}%", min_value=0, max_value=100
        )
    return st.column_config.NumberColumn(column.label, help=column.definition, format=column.form)


def errors(values: dict[str, float]) -> pd.DataFrame:
    """The errors of one layer's output: a row for what is quantized, a column for each way to tell it."""
    rows = []
    for part, (label, case) in PARTS.items():
        names = {"SQNR": f"sqnr_{part}_db", "MSE": f"mse_{part}", "Cosine": f"cosine_{part}"}
        known = {kind: values[name] for kind, name in names.items() if name in values}
        if known:
            rows.append({"Quantized": label, **known, "That is": case})
    return pd.DataFrame(rows)


def error_table(values: dict[str, float]) -> None:
    """The same on the page; nothing where a run of an older version has the SQNR alone."""
    frame = errors(values)
    if not {"MSE", "Cosine"} <= set(frame.columns):
        return
    st.markdown("**How large is the error of its output?**", help=explain("output-error"))
    # Four rows as text: a grid to scroll in would take the browser as long as both charts above.
    lines = ["| Quantized | SQNR | MSE | Cosine | That is |", "|:--|--:|--:|--:|:--|"]
    for row in frame.itertuples(index=False):
        numbers = f"{row.SQNR:.1f}{NO_BREAK}dB | {row.MSE:.3g} | {row.Cosine:.5f}"
        lines.append(f"| {row[0]} | {numbers} | {row[-1]} |")
    st.markdown("\n".join(lines))
