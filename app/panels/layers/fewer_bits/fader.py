"""How few bits can I afford? The fader over all layers or one, answered at once from measured tables."""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app.charts.why import bits as charts
from app.components import mount
from app.panels.layers.fewer_bits.bit_choice import (
    BitChoice,
    Pair,
    chosen_bits,
    read_choice,
    recipe_at,
)
from app.panels.layers.fewer_bits.measure_bits import measure_button, measured_words, tried
from app.panels.new_run.dialog import new_run_button
from app.panels.shared.ask_why import ask_for, is_pending, known, why_unanswered
from app.panels.shared.csv_button import csv_button
from app.panels.shared.folded import folded
from app.panels.shared.press import button
from app.panels.shared.room import room
from app.text import explain
from app.wording.engine_words import page_text
from engine.run.folders.folder import RunFolder
from engine.run.questions.why.fewer_bits.fader import (
    CLIFF_DB,
    WIDTHS,
    Follows,
    every_sqnr_db,
    float_size,
    follow_bits,
    tables_of,
)

QUESTION = "bits"
TITLE = "How few bits can I afford?"
NAME, SCOPE = "bits", "fader"  # in the address
SCOPES = ("network", "layer")
SAYS_REM = 2.6  # of what was measured
BESIDE = 30  # layers whose bars leave room for the front beside them
# The verdict. A browser puts the numbers in (app/components/fader/verdict.js): it follows each move at once.
WORDS = {
    "some": "**{below} of {layers} layers are over the cliff** (under {cliff} dB), "
    "`{worst}` furthest ({least} dB)",
    "none": "**No layer is over the cliff**; the weakest is `{worst}` ({least} dB)",
    "costs": "{fallen}. {size}, {times} times smaller than float; {operations} bit operations an image",
    "unknown": "{costs}.",
    "same": "{costs}; predicted loss {kl} nats. These are the run's own bits.",
    "other": "{costs}; predicted loss **{kl} nats**, {than} than the {own} of the run's own bits.",
    "less": "less",
    "more": "more",
}


def fader_section(folder: RunFolder, layer: str, layers: int) -> None:
    """Closed until it is asked for, or the address names bits; what there is to see is measured once.

    Nothing where it cannot be measured: the tab says why at its end.
    """
    if why_unanswered(folder, QUESTION):
        return

    def draw() -> None:
        found = known(folder, QUESTION)
        if found is None:
            ask_for(folder, QUESTION, layers)
            return
        for note in found["notes"]:
            st.caption(page_text(note))
        fader(folder, found, layer)
        _for_experts(folder, found)

    begins = _begins_open(folder)
    folded(TITLE, draw, key="fader-more", icon=":material/tune:", expanded=begins)


def _begins_open(folder: RunFolder) -> bool:
    """Whether it is open before anybody presses it: the address names bits, or their answer is on its way.

    From then on always: with another beginning it would close on whoever waits for the answer.
    """
    begun: dict[str, bool] = st.session_state.setdefault("fader-begun", {})
    now = NAME in st.query_params or is_pending(folder, QUESTION)
    begun[folder.run_id] = begun.get(folder.run_id, False) or now
    return begun[folder.run_id]


@st.fragment
def fader(folder: RunFolder, found: dict[str, Any], layer: str) -> None:
    """The controls, the verdict, every layer's SQNR and the front; moving asks the tables alone."""
    choice = read_choice(st.query_params.get(NAME, ""), found)
    layer = layer if layer in found["planned"]["weight_bits"] else ""
    bits = chosen_bits(choice, found)
    mount.fader(
        key=f"fader-{folder.run_id}", moved=_moved, run=folder.run_id, choice=choice.plain(),
        found=for_browser(found, folder.result()), words=WORDS, layer=layer,
        scope=SCOPES[bool(layer) and st.query_params.get(SCOPE) == SCOPES[1]],
    )  # fmt: skip
    follows, own = _follow(found, bits), _follow(found, chosen_bits(BitChoice(), found))
    left, right = st.columns([3, 2], vertical_alignment="top")
    with left, room("fader-says", SAYS_REM):
        st.markdown(measured_words(folder, bits))
    with right, st.container(horizontal=True, horizontal_alignment="right"):
        if choice.text() and button("This run's bits", icon=":material/undo:", key="fader-back"):
            st.query_params.pop(NAME, None)
            st.rerun(scope="fragment")
        if follows.predicted_kl is not None:
            measure_button(folder, bits)
        new_run_button(
            "Run it", key="fader-run", wanted=recipe_at(folder.recipe, bits, found), type="primary",
            icon=":material/play_arrow:", help="Opens New run with exactly these bits, layer by layer.",
        )  # fmt: skip
    shown: dict[str, Any] = {"run": folder.run_id, "offset": 0, "name": f"{choice.text()} {layer}"}
    has_front = bool(found["front"]) and follows.predicted_kl is not None
    is_wide = len(found["layers"]) > BESIDE
    place = (
        st.columns([3, 2], gap="medium")
        if has_front and not is_wide
        else [st.container(), st.container()]
    )
    with place[0]:
        figure = charts.sqnr_bars(found["layers"], follows.sqnr_db.tolist(), bits, layer)
        mount.live_plot(figure, key=f"fader-sqnr-{folder.run_id}", follows="sqnr", **shown)
    if has_front:
        with place[1]:
            answer = tried(folder, bits)
            kl = answer.value["kl"] if answer is not None and answer.value else None
            _front(folder, found, (follows, own), shown, kl)


def _moved(to: dict[str, str]) -> None:
    """Write what the faders were moved to into the address; what makes no sense there is not read."""
    for name, value, usual in ((NAME, to["bits"], ""), (SCOPE, to["scope"], SCOPES[0])):
        if value == usual:
            st.query_params.pop(name, None)
        else:
            st.query_params[name] = value


def for_browser(found: dict[str, Any], result: dict[str, Any] | None = None) -> dict[str, Any]:
    """What the faders need to answer in the browser: decibels instead of noise, and no number without end."""
    tables = tables_of(found)
    predicted = {"kl_weights": tables.kl_weights, "kl_inputs": tables.kl_inputs}
    if not all(table is not None and np.isfinite(table).all() for table in predicted.values()):
        predicted = dict.fromkeys(predicted)
    return {
        "paths": tables.paths, "planned": found["planned"], "held": found["held"],
        "shared_inputs": found["shared_inputs"], "cliff_db": CLIFF_DB,
        "float_bytes": float_size(found, result),
        "front": [
            {name: one[name] for name in ("size_bytes", "weight_bits", "activation_bits")}
            for one in found["front"]
        ],
        "tables": {
            "sqnr_db": np.round(every_sqnr_db(tables), 3).tolist(), "weights": tables.weights,
            "rest_bytes": tables.rest_bytes, "macs": tables.macs, **predicted,
        },
    }  # fmt: skip


def _front(
    folder: RunFolder, found: dict[str, Any], both: tuple[Follows, Follows], shown: dict[str, Any],
    measured_kl: float | None,
) -> None:  # fmt: skip
    mine, own = ((one.size_bytes, one.predicted_kl or 0.0) for one in both)
    alike = [_follow(found, _all_at(found, width)) for width in (WIDTHS[0], WIDTHS[-1])]
    ends = [(one.size_bytes, one.predicted_kl or 0.0) for one in alike]
    figure = charts.front(found["front"], mine, own, measured_kl, ends)
    shown = shown | {"name": f"{shown['name']} {measured_kl}"}
    picked = mount.live_plot(
        figure, key=f"fader-front-{folder.run_id}", pick="category", follows="front", **shown
    )
    if picked:
        sizes = [abs(one["size_bytes"] / 1e3 - float(picked)) for one in found["front"]]
        choice = read_choice(st.query_params.get(NAME, ""), found)
        st.query_params[NAME] = choice.at_point(sizes.index(min(sizes))).text()
        st.rerun(scope="fragment")


def _all_at(found: dict[str, Any], width: int) -> dict[str, Pair]:
    """Every layer at so many bits, those too that the edge rule holds; an image as it is."""
    inputs = found["planned"]["activation_bits"]
    return {path: (width, width if a is not None else None) for path, a in inputs.items()}


def _follow(found: dict[str, Any], bits: dict[str, Pair]) -> Follows:
    return follow_bits(
        found,
        {path: w for path, (w, _) in bits.items()},
        {path: a for path, (_, a) in bits.items()},
    )


def _for_experts(folder: RunFolder, found: dict[str, Any]) -> None:
    st.caption(
        "Predicted for rounding to the nearest: learned rounding loses less. What each layer does alone is "
        "added up; hollow circles are measured with all of it at once, on 200 test images.",
        help=explain("fader"),
    )
    if st.toggle("Every layer at every number of bits", key="fader-matrix"):
        mount.live_plot(
            charts.matrix(found["layers"]),
            key=f"fader-matrix-{folder.run_id}",
            run=folder.run_id,
            offset=0,
        )
    csv_button(
        table(found),
        folder.run_id,
        "bits",
        label="Every layer at 2 to 8 bits, CSV",
        key="fader-csv",
    )


def table(found: dict[str, Any]) -> pd.DataFrame:
    """A row a layer: its SQNR at every number of bits, its cliff, and the run's own bits."""
    planned = found["planned"]
    return pd.DataFrame(
        [
            {"layer": one["path"]}
            | {f"sqnr_db_{width}_bits": db for width, db in one["sqnr_db"].items()}
            | {"cliff": one["cliff"]}
            | {kind: planned[kind][one["path"]] for kind in ("weight_bits", "activation_bits")}
            for one in found["layers"]
        ]
    )
