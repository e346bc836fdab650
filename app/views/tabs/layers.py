"""What does quantization do to each layer? Where does the error enter, and what does it cost?"""

from functools import partial
from typing import Any

import streamlit as st

from app.charts.layers import layer_errors
from app.charts.outcomes.verdicts import inherited_verdict, layers_verdict
from app.engine_calls.background import look_again
from app.panels.doctor import doctor
from app.panels.head.outcome import is_watched
from app.panels.head.what_if import ablations
from app.panels.images.growth import live_chart
from app.panels.layers import allocation, drift, layer_detail, provenance, sensitivities
from app.panels.layers.at_work import blocks
from app.panels.layers.fewer_bits import fader
from app.panels.layers.fewer_bits.measure_bits import is_measuring
from app.panels.layers.inside import section as inside
from app.panels.layers.layer_costs import (
    ask_costs,
    cost_chart,
    cost_expander,
    costs_are_pending,
    costs_of,
    worst_layer,
)
from app.panels.shared.ask_why import is_pending, known, why_not, why_unanswered
from app.panels.shared.not_here import not_here
from app.panels.shared.room import ROW_REM, room
from app.panels.shared.url_menu import buttons
from app.run_files.history import History
from app.run_files.run_folders import state_of
from app.text import explain
from engine.run.folders.folder import ACTIVE, RunFolder

IMAGES_FIRST = (
    "The images come first: watch them grow on the tab *Images*. Then the weights lose their bits, and the "
    "bars appear here, block by block."
)
ASKED = (provenance.QUESTION, fader.QUESTION)  # of this tab, answered beside the page
VERDICT_REM = 6.2  # four lines: what a run at work says grows by and by
BY = {"cost": "Measured cost", "error": "Error of its output", "origin": "Where it comes from"}
QUESTIONS = {
    "cost": "What does each layer cost?",
    "error": "Where does the error enter?",
    "origin": "Where does the error of every layer come from?",
}
HELP = {"cost": "layer-costs", "error": "sqnr", "origin": "provenance"}


def draw(folder: RunFolder, history: History) -> None:
    """What came of it in a sentence, bars of all layers, one layer below; closed: what was learned."""
    costs = costs_of(folder)
    layers = history.started["layers"]
    left, right = st.columns([5, 1], vertical_alignment="top")
    with left, room("verdict", VERDICT_REM if is_watched(folder) else 0):
        _verdict(folder, history, costs)
    with right, st.container(horizontal=True, horizontal_alignment="right"):
        ablations(folder, "quantization")
    if not layers:
        if state_of(folder) in ACTIVE:
            st.info("The layers appear when the worker has loaded the network.")
        return
    with st.container():
        awaited = doctor.doctor_panel(folder)
    chosen, titles = layer_detail.chosen_layer(folder, history, costs)
    with st.container():
        _all_layers(folder, history, costs, chosen)
    # A container each: what appears in one leaves the others where, and as, they are.
    places = [st.container() for _ in range(3)]
    if is_watched(folder):  # in the order in which they come, so that none pushes another away
        places = [places[2], places[1], places[0]]
    with places[0]:
        layer_detail.layer_detail(folder, history, chosen, titles)
    with places[1]:
        allocation.allocation_panel(folder, history)
    with places[2]:
        blocks.blocks_at_work(folder, history)
    with st.container(key="layers-more"):  # a container each, as above
        with st.container():
            fader.fader_section(folder, chosen, len(layers))
        with st.container():
            blocks.blocks_again(folder, history)
        if costs is not None:
            with st.container():
                cost_expander(folder, costs)
        with st.container():
            tensors = inside.tensors_section(folder, chosen, len(layers))
        with st.container():
            drifts = drift.drift_section(folder, chosen, len(layers))
        with st.container():
            ranks = sensitivities.sensitivities_section(folder, chosen, len(layers))
    not_here(_reasons(folder, history, chosen))
    asked = any(is_pending(folder, one) for one in ASKED)
    look_again(
        awaited
        or costs_are_pending(folder)
        or asked
        or tensors
        or drifts
        or ranks
        or is_measuring()
    )


def _reasons(folder: RunFolder, history: History, chosen: str) -> dict[str, str]:
    """By the question of each view of this tab that can be missing: why it is; empty where it is there."""
    unanswered = partial(why_unanswered, folder)
    at_work = is_watched(folder)  # the places of what is learned say for themselves what comes
    return {
        doctor.TITLE: unanswered(doctor.QUESTION),
        QUESTIONS["cost"]: "" if costs_of(folder) else why_not(folder),
        layer_detail.TITLE: "" if chosen else why_not(folder),
        provenance.TITLE: unanswered(provenance.QUESTION),
        allocation.TITLE: allocation.why_no_allocation(folder, history),
        blocks.TITLE: "" if at_work else blocks.why_no_blocks(folder, history),
        fader.TITLE: unanswered(fader.QUESTION),
        inside.title_of(chosen or "a layer"): unanswered(inside.QUESTION, chosen),
        drift.TITLE: unanswered(drift.QUESTION),
        sensitivities.TITLE: unanswered(sensitivities.QUESTION),
    }


def _verdict(folder: RunFolder, history: History, costs: dict[str, Any] | None) -> None:
    measured = history.layers_measured()
    if not measured and state_of(folder) in ACTIVE and images_come_first(history):
        st.markdown(IMAGES_FIRST)
        return
    total = len(history.started["layers"])
    costliest = worst_layer(costs) if costs is not None else None
    at_work = state_of(folder) in ACTIVE
    said = layers_verdict(measured, total, folder.result(), costliest, at_work=at_work)
    st.markdown(f"{said} {inherited_verdict(measured)}")


def images_come_first(history: History) -> bool:
    """Whether the run is still making its images, or has yet to begin."""
    stages = [event["stage"] for event in history.of("stage-started")]
    return not stages or stages[-1] == "synthesis"


@st.fragment
def _all_layers(
    folder: RunFolder, history: History, costs: dict[str, Any] | None, chosen: str
) -> None:
    """The bars of all layers by one number; for another these alone are drawn. A click looks into one."""
    origins = known(folder, provenance.QUESTION)
    there = {"cost": costs, "error": True, "origin": origins}
    known_ones = {name: title for name, title in BY.items() if there[name]}
    left, right = st.columns(2, vertical_alignment="bottom")
    by = "error"
    with right, room("ask", ROW_REM), st.container(horizontal=True, horizontal_alignment="right"):
        if len(known_ones) > 1:
            by = buttons("Draw", known_ones, "by", label_visibility="collapsed")
        if costs is None and not why_not(folder):
            ask_costs(folder)
    with left:
        st.subheader(QUESTIONS[by], help=explain(HELP[by]))
    if by == "cost" and costs is not None:
        picked = cost_chart(folder, costs, chosen)
    elif by == "origin" and origins is not None:
        picked = provenance.all_provenance(folder, origins, chosen)
    else:
        chart = layer_errors.layer_bars(history.started["layers"], chosen)
        name = f"bars-{chosen}"
        picked = live_chart(chart, folder, history, key="bars", name=name, pick="category")
    if picked and picked != chosen:
        st.query_params["layer"] = picked
        st.rerun()
