"""How few bits can I afford? The fader over all layers or one, answered at once from measured tables."""

from typing import Any

import pandas as pd
import streamlit as st

from app.charts.why import bits as charts
from app.components import mount
from app.panels.ask_why import ask_for, is_pending, known, why_not
from app.panels.layers.fewer_bits.bit_choice import (
    BitChoice,
    Pair,
    chosen_bits,
    read_choice,
    readers_of,
    recipe_at,
    usual_bits,
)
from app.panels.layers.fewer_bits.measure_bits import measure_button, measured_words, tried
from app.panels.new_run.dialog import new_run_button
from app.panels.room import room
from app.panels.url_menu import buttons
from app.text import explain
from app.wording.words import count_words, plain, size_words
from engine.run.folders.folder import RunFolder
from engine.run.questions.why.fewer_bits.fader import (
    CLIFF_DB,
    WIDTHS,
    Follows,
    float_size,
    follow_bits,
)

NAME = "bits"  # in the address
SAYS_REM = 7.0  # of the verdict with what was measured: four lines
BESIDE = 30  # layers whose bars leave room for the front beside them
LATER = "When the run is done, every layer can be measured at 2 to 8 bits here."


def fader_section(folder: RunFolder, layer: str, layers: int) -> None:
    """Closed until it is asked for, or the address names bits; what there is to see is measured once."""
    more = st.expander(
        "How few bits can I afford?", icon=":material/tune:", key="fader-more", on_change="rerun",
        expanded=NAME in st.query_params or is_pending(folder, "bits"),
    )  # fmt: skip
    if not more.open:
        return
    with more:
        found = known(folder, "bits")
        if folder.result() is None:
            st.caption(LATER)
        elif why_not(folder) and found is None:
            st.caption(why_not(folder))
        elif found is None:
            ask_for(folder, "bits", layers)
        else:
            for note in found["notes"]:
                st.caption(plain(note))
            fader(folder, found, layer)
            _for_experts(folder, found)


@st.fragment
def fader(folder: RunFolder, found: dict[str, Any], layer: str) -> None:
    """The controls, the verdict, every layer's SQNR and the front; moving asks the tables alone."""
    choice = read_choice(st.query_params.get(NAME, ""), found)
    layer = layer if layer in found["planned"]["weight_bits"] else ""
    bits = chosen_bits(choice, found)
    _controls(found, choice, bits, layer)
    follows, own = _follow(found, bits), _follow(found, chosen_bits(BitChoice(), found))
    left, right = st.columns([3, 2], vertical_alignment="top")
    with left, room("fader-says", SAYS_REM):
        st.markdown(f"{verdict(found, follows, own)} {measured_words(folder, bits)}")
    with right, st.container(horizontal=True, horizontal_alignment="right"):
        if choice.text() and st.button("This run's bits", icon=":material/undo:", key="fader-back"):
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
        mount.live_plot(figure, key=f"fader-sqnr-{folder.run_id}", **shown)
    if has_front:
        with place[1]:
            answer = tried(folder, bits)
            kl = answer.value["kl"] if answer is not None and answer.value else None
            _front(folder, found, (follows, own), shown, kl)


def _front(
    folder: RunFolder, found: dict[str, Any], both: tuple[Follows, Follows], shown: dict[str, Any],
    measured_kl: float | None,
) -> None:  # fmt: skip
    mine, own = ((one.size_bytes, one.predicted_kl or 0.0) for one in both)
    figure = charts.front(found["front"], mine, own, measured_kl)
    shown = shown | {"name": f"{shown['name']} {measured_kl}"}
    picked = mount.live_plot(figure, key=f"fader-front-{folder.run_id}", pick="category", **shown)
    if picked:
        sizes = [abs(one["size_bytes"] / 1e3 - float(picked)) for one in found["front"]]
        st.query_params[NAME] = BitChoice(point=sizes.index(min(sizes))).text()
        st.rerun(scope="fragment")


def _controls(found: dict[str, Any], choice: BitChoice, bits: dict[str, Pair], layer: str) -> None:
    """Whole network or one layer, weights and inputs apart, and the budget."""
    first, second, third, fourth = st.columns(
        [3, 3, 3, 3], vertical_alignment="bottom", gap="medium"
    )
    with first:
        titles = {"network": "All layers"} | ({"layer": "One layer"} if layer else {})
        scope = buttons("What the faders move", titles, "fader")
    w, a = bits[layer] if scope == "layer" else usual_bits(bits, found)

    def write(kind: int) -> None:
        moved = [st.session_state.get("fader-w"), st.session_state.get("fader-a")]
        now: list[int | None] = [w, a]
        now[kind] = moved[kind]
        _move(choice, layer if scope == "layer" else "", (now[0] or w, now[1]))

    of = f" of {layer}" if scope == "layer" else ""
    with second:
        _slider(f"Bits of weights{of}", "fader-w", w, lambda: write(0))
    with third:
        if a is None:
            st.caption("It reads the image, which stays as it is.")
        else:
            shared = readers_of(layer, found) if scope == "layer" else []
            told = (
                f"Also for {', '.join(p for p in shared if p != layer)}."
                if len(shared) > 1
                else None
            )
            _slider(f"Bits of inputs{of}", "fader-a", a, lambda: write(1), told)
    with fourth:
        if found["front"]:
            _budget(found, bits)


def _slider(label: str, key: str, value: int, moved: Any, told: str | None = None) -> None:
    st.session_state[key] = value  # the address decides
    st.slider(label, WIDTHS[0], WIDTHS[-1], key=key, on_change=moved, help=told)


def _budget(found: dict[str, Any], bits: dict[str, Pair]) -> None:
    """The best bits for a size, by dragging the size."""
    size = _follow(found, bits).size_bytes
    sizes = [one["size_bytes"] for one in found["front"]]
    nearest = min(range(len(sizes)), key=lambda k: abs(sizes[k] - size))

    def write() -> None:
        st.query_params[NAME] = BitChoice(point=int(st.session_state["fader-size"])).text()

    st.session_state["fader-size"] = nearest
    st.select_slider(
        "Or the best weights for a size", list(range(len(sizes))), key="fader-size", on_change=write,
        format_func=lambda k: size_words(sizes[k]),
        help="Of the front: inputs as the run has them. The nearest size is shown.",
    )  # fmt: skip


def _move(choice: BitChoice, layer: str, to: Pair) -> None:
    """Write the moved fader into the address."""
    if layer:
        alone = {path: pair for path, pair in choice.alone.items() if path != layer} | {layer: to}
        moved = BitChoice(network=choice.network, point=choice.point, alone=alone)
    else:
        moved = BitChoice(network=(to[0], to[1] or WIDTHS[-1]))
    st.query_params[NAME] = moved.text()


def _follow(found: dict[str, Any], bits: dict[str, Pair]) -> Follows:
    return follow_bits(
        found,
        {path: w for path, (w, _) in bits.items()},
        {path: a for path, (_, a) in bits.items()},
    )


def verdict(found: dict[str, Any], follows: Follows, own: Follows) -> str:
    """What the bits lead to, beside what the run's own do, in a sentence or two."""
    paths = [one["path"] for one in found["layers"]]
    below = [path for path, db in zip(paths, follows.sqnr_db, strict=True) if db < CLIFF_DB]
    worst = paths[int(follows.sqnr_db.argmin())]
    fallen = (
        f"**{len(below)} of {len(paths)} layers are over the cliff** (under {CLIFF_DB:.0f} dB), `{worst}` "
        f"furthest ({follows.sqnr_db.min():.0f} dB)"
        if below
        else f"**No layer is over the cliff**; the weakest is `{worst}` ({follows.sqnr_db.min():.0f} dB)"
    )
    times = float_size(found) / follows.size_bytes
    said = (
        f"{fallen}. {size_words(follows.size_bytes)}, {times:.1f} times smaller than float; "
        f"{count_words(follows.bit_operations)} bit operations an image"
    )
    if follows.predicted_kl is None or own.predicted_kl is None:
        return f"{said}."
    if follows[1:] == own[1:]:
        return (
            f"{said}; predicted loss {follows.predicted_kl:.3g} nats. These are the run's own bits."
        )
    than = "less" if follows.predicted_kl < own.predicted_kl else "more"
    return (
        f"{said}; predicted loss **{follows.predicted_kl:.3g} nats**, {than} than the "
        f"{own.predicted_kl:.3g} of the run's own bits."
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
    st.download_button(
        "Every layer at 2 to 8 bits, as CSV", table(found).to_csv(index=False), f"{folder.run_id}_bits.csv",
        "text/csv", icon=":material/download:", on_click="ignore", key="fader-csv",
    )  # fmt: skip


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
