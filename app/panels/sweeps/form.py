"""A new sweep: what is multiplied, how many runs that is, how long they take, and a button to start."""

import json
from functools import partial
from typing import Any

import streamlit as st

from app.engine_calls.background import ask, look_again
from app.engine_calls.choices import load_catalog, title_of
from app.engine_calls.sweeps import plan_of, start_sweep
from app.panels.shared.press import button
from app.presets import USUAL
from app.run_files.run_folders import runs_folder
from app.wording.engine_words import page_text
from app.wording.words import EFFORTS, plain, time_words
from engine.core.errors import UserError
from engine.run.sweeps.plan import Planned, recipes_of
from engine.run.sweeps.work import Cost, cost_of

BITS = ((8, 8), (4, 8), (4, 4), (3, 8), (3, 3), (2, 8), (2, 4), (2, 2))
MOST_SEEDS = 5
MENUS = {  # field of the sweep: part of the catalog, label, chosen at first
    "models": ("models", "Networks", [USUAL["model"]]),
    "synthesis": ("synthesis", "Images", [USUAL["synthesis"], "noise"]),
    "quantization": ("quantization", "Quantizers", [USUAL["quantization"], "nearest"]),
}


def sweep_form() -> None:
    """The choices; when started, the address leads to the sweep's matrix."""
    st.caption("Every network with all images, quantizers, bits and seeds, one run after another.")
    with st.spinner("Looking what networks and methods there are…"):
        catalog = load_catalog()
    asked = _fields(catalog)
    if any(not asked[name] for name in (*MENUS, "bits")):
        st.info("Choose at least one of each.")
        return
    try:
        plan = plan_of(asked)
    except UserError as error:
        st.warning(page_text(error))
        return
    _what_it_takes(asked, plan)
    if button(
        "Start", type="primary", icon=":material/play_arrow:", key="sweep-start",
        disabled=not recipes_of(plan),
    ):  # fmt: skip
        try:
            folder = start_sweep(asked)
        except (UserError, OSError) as error:
            st.error(page_text(error))
        else:
            st.query_params["sweep"] = folder.name
            st.rerun()


def _fields(catalog: dict[str, Any]) -> dict[str, Any]:
    """The form's fields, as make_sweep takes them."""
    asked: dict[str, Any] = {}
    for column, (name, (part, label, usual)) in zip(st.columns(3), MENUS.items(), strict=True):
        names = [one["name"] for one in catalog[part] if one.get("available", True)]
        asked[name] = column.multiselect(
            label, names, default=[one for one in usual if one in names],
            format_func=partial(title_of, part), key=f"sweep-{name}",
        )  # fmt: skip
    bits, seeds, effort = st.columns(3)
    asked["bits"] = [list(pair) for pair in bits.multiselect(
        "Bits", BITS, default=[(4, 4), (2, 4)], format_func=lambda pair: f"W{pair[0]}A{pair[1]}",
        key="sweep-bits", help="W4A4: weights in 4 bits, activations (what flows between layers) in 4.",
    )]  # fmt: skip
    count = seeds.slider(
        "Seeds", 1, MOST_SEEDS, 3, key="sweep-seeds",
        help="The same run again from another random start: how far results scatter by chance.",
    )  # fmt: skip
    asked["seeds"] = list(range(int(count)))
    asked["preset"] = effort.selectbox(
        "Effort", list(EFFORTS), format_func=EFFORTS.__getitem__, key="sweep-preset"
    )
    return asked


def _what_it_takes(asked: dict[str, Any], plan: list[Planned]) -> None:
    recipes, runs = recipes_of(plan), runs_folder()
    answer = ask("sweep", json.dumps([str(runs), asked]), lambda: cost_of(recipes, runs))
    if answer.is_pending:
        cost = "what they take is being worked out…"
    else:
        cost = page_text(answer.error) if answer.error else cost_words(answer.value)
    st.markdown(f"**{len(recipes)} {'run' if len(recipes) == 1 else 'runs'}**: {cost}")
    left_out = [one for one in plan if one.recipe is None]
    if left_out:
        with st.expander(f"{len(left_out)} left out, because they cannot work"):
            for reason in dict.fromkeys(one.reason for one in left_out):
                st.markdown(f"- {plain(reason)}")
    look_again(answer.is_pending)


def cost_words(cost: Cost) -> str:
    """For example "12 to compute, about 40 min; of 4 the time is not known yet"."""
    if not cost.runs:
        return "all are finished already, the matrix is there at once."
    if not cost.known:
        return f"{cost.runs} to compute; how long that takes is known once the first is finished."
    rest = cost.runs - cost.known
    words = f"{cost.runs} to compute, about {time_words(cost.seconds)}"
    return words + (
        f" for {cost.known} of them; of {rest} the time is not known yet." if rest else "."
    )
