"""One layer of a run looked into; the table of all of them below it."""

from typing import Any

import streamlit as st

from app.charts.layers import layer as charts
from app.components import mount
from app.links.state import layer_among
from app.panels.head.outcome import is_watched
from app.panels.layers.layer_costs import worst_layer
from app.panels.layers.layer_table import TAKEN, chosen_row, error_table, layer_table
from app.panels.layers.provenance import QUESTION as PROVENANCE
from app.panels.layers.provenance import layer_provenance
from app.panels.shared.ask_why import why_unanswered
from app.panels.shared.folded import folded
from app.panels.shared.url_menu import menu
from app.run_files.history import History
from app.text import explain
from app.wording.layer_numbers import GRADES, MOVED, Number, known_numbers, numbers_of
from engine.core.percent import percent
from engine.run.folders.folder import RunFolder

TITLE = "What is wrong with one layer?"
NO_PICTURE = (
    "An older version kept no picture of the weights on their grid: run the recipe again to see it."
)


def layer_detail(folder: RunFolder, history: History, path: str, titles: dict[str, str]) -> None:
    """The chosen layer and a menu of all; for experts the table of all.

    Nothing before one is measured: the tab says so at its end.
    """
    measured = {one["path"]: numbers_of(one) for one in history.layers_measured()}
    if not measured:
        return
    left, right = st.columns(2, vertical_alignment="bottom")
    with left:
        st.subheader(TITLE, help=explain("layer"))
    with right, st.container(horizontal=True, vertical_alignment="center", key="layer-menu"):
        st.caption("Click on a bar, or choose:", width="content")
        menu("Layer", titles, "layer", asked=path, label_visibility="collapsed")
    shapes = {layer["path"]: list(layer["shape"]) for layer in history.started["layers"]}
    if why_unanswered(folder, PROVENANCE) and not is_watched(folder):
        _numbers(measured[path], shapes.get(path, []))
    else:  # of a run at work the place is kept free: nothing moves when it can be asked
        left, right = st.columns(2, gap="medium")
        with left:
            layer_provenance(folder, path, len(shapes))
        with right:
            _numbers(measured[path], shapes.get(path, []))
    title = "For experts: its weights on the grid, its errors, and a table of all layers"

    def draw() -> None:
        _histograms(folder, history, path)
        error_table(measured[path])
        layer_table(folder, measured)

    folded(title, draw, key="layer-more", icon=":material/table_rows:")


def chosen_layer(
    folder: RunFolder, history: History, costs: dict[str, Any] | None
) -> tuple[str, dict[str, str]]:
    """The layer of the address, else the first of the ranking; and all of them in its order, with titles.

    There is one ranking: by measured cost where that is known, else by SQNR.
    """
    measured = {one["path"]: numbers_of(one) for one in history.layers_measured()}
    if not measured:
        return "", {}
    _take_row(folder, list(measured))
    ranked, word = ranking(measured, costs)
    titles = {path: path for path in ranked}
    titles[ranked[0]] = f"{ranked[0]} ({word})"
    return layer_among(ranked, st.query_params.get("layer", "")) or ranked[0], titles


def ranking(
    measured: dict[str, dict[str, float]], costs: dict[str, Any] | None
) -> tuple[list[str], str]:
    """The layers, the one to look at first in front, and what that one is."""
    if costs is not None:
        gains = {layer["path"]: float(layer["kl_gain"]) for layer in costs["layers"]}
        sure = worst_layer(costs)
        if sure is not None:
            first = str(sure["path"])
            order = sorted(measured, key=lambda p: (p != first, -gains.get(p, 0.0)))
            if order[0] == first:
                return order, "costs most, measured"
    order = sorted(measured, key=lambda p: measured[p].get("sqnr_local_db", float("inf")))
    return order, "the largest error, by SQNR"


def _numbers(values: dict[str, float], shape: list[int]) -> None:
    found = known_numbers(values, shape)
    if not any(one.name.startswith("weight_") for one in found):
        st.caption("This run was made by an older version: less was measured of its layers.")
    lines = [_line(one, values[one.name]) for one in found]
    st.markdown("\n".join(lines))
    st.caption(_moved(values))


def _moved(values: dict[str, float]) -> str:
    """What rounding did to the codes, where it is known."""
    flipped, rmse = values.get("flipped", 0.0), values.get("weight_rmse_steps")
    if rmse is None or "weight_entropy_bits" not in values:
        return ""
    carried = (
        f"The codes carry {values['weight_entropy_bits']:.2f} of their "
        f"{values['weight_level_bits']:.3g} bits; "
    )
    if not flipped:
        return f"{carried}all of them are at the nearest level."
    carried += f"{percent(flipped)} of them are not at the nearest level."
    if flipped <= MOVED:
        return carried
    return (
        f"{carried} They were moved for the sake of the output, so the weights' own error, {rmse:.3f} of a "
        "step, is no fault."
    )


def _line(one: Number, value: float) -> str:
    grade = one.grade(value)
    unit = " dB" if one.name.endswith("_db") else ""
    shown = f"{one.text_of(value)}{unit}"
    return f"- :{GRADES[grade]}-badge[{grade}] **{one.label} {shown}**: {one.sentence(value)}"


def _histograms(folder: RunFolder, history: History, path: str) -> None:
    view = history.last("viewed", form="codes", what=path)
    if view is None:
        st.caption(NO_PICTURE)
        return
    title = "**Do its weights use all the levels that they pay for?**"
    st.markdown(title, help=explain("weights-on-grid"))
    left, right = st.columns(2, gap="medium")
    shown: dict[str, Any] = {"run": folder.run_id, "offset": 0, "name": f"layer-{path}"}
    with left:
        st.caption("All channels on the grid: where the floats lie, and the codes they became.")
        mount.live_plot(charts.codes(view), key=f"layer-codes-{folder.run_id}", **shown)
    with right:
        number = view["values"].get("channel", 0)
        st.caption(f"The widest channel, number {number:.0f}, with its levels.")
        mount.live_plot(charts.channel(view), key=f"layer-channel-{folder.run_id}", **shown)


def _take_row(folder: RunFolder, paths: list[str]) -> None:
    """A row just chosen in the table (which is drawn below) becomes the layer of the address."""
    row = chosen_row(folder, paths)
    if row != st.session_state.get(TAKEN):
        st.session_state[TAKEN] = row
        if row is not None:
            st.query_params["layer"] = row
