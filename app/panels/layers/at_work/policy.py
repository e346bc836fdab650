"""The rounding policy at work: live for the block at work, and again for every block that is done."""

import streamlit as st

from app.charts.bindings import extended
from app.charts.views import CHARTS
from app.components import mount
from app.engine_calls.choices import load_catalog
from app.panels.images.growth import live_chart
from app.panels.layers.at_work.view_words import words
from app.panels.shared.url_menu import menu
from app.run_files.history import Event, History
from app.run_files.run_folders import is_live
from app.text import explain
from engine.run.folders.folder import RunFolder
from engine.run.recipes.recipe import Recipe

QUESTIONS = {
    "soft-rounding": "Which way does each weight lean?",
    "borders": "Where is an activation rounded up?",
    "path": "How is the error kept small, column by column?",
    "levels": "Where do the levels go?",
    "confidence": "How sure is each weight of its level?",
    "taps": "Does the centre tap spread further than the others?",
    "factors": "How near do the quantized factors come?",
    "slopes": "How flat is the loss where the weights lie?",
    "widths": "What does rounding to any width do, before and after?",
    "deviations": "How far does each channel spread?",
    "signs": "Which signs can still turn, and how much does each say?",
    "fixing": "Which values do the weights fall to?",
    "orders": "Does it matter which columns come first?",
}
NEWEST = "newest"
STILL = (
    "nearest",
    "lq-nets",
    "std-based",
    "vertical",
    "daq",
)  # behind mixed bits: they take no steps
WHOLE = (
    "slopes",
    "widths",
    "signs",
    "fixing",
)  # of the network as a whole: its trainer takes the steps, not its blocks


def forms_of(recipe: Recipe, history: History) -> tuple[str, ...]:
    """What the recipe's quantizer shows of itself, by name of the picture; nothing for nearest rounding.

    What its card announces, and what its run has shown already.
    """
    name = recipe.quantization
    if name == "mixed":
        name = str(recipe.quantization_settings.get("rounding", "nearest"))
    seen = [str(view["form"]) for view in history.of("viewed")]
    return tuple(form for form in dict.fromkeys([*_announced(name), *seen]) if form in CHARTS)


def _announced(name: str) -> list[str]:
    try:
        known = load_catalog()["quantization"]
    except (RuntimeError, OSError, KeyError):
        return []
    return next((list(one.get("shows", [])) for one in known if one["name"] == name), [])


def takes_steps(recipe: Recipe) -> bool:
    """Whether the quantizer goes through a block step by step, also one behind mixed bits."""
    settings = recipe.quantization_settings
    return bool(settings.get("steps")) or settings.get("rounding", STILL[0]) not in STILL


@st.fragment
def policy_panel(folder: RunFolder, history: History) -> None:
    """The pictures of the recipe's policy; a menu of the blocks and a slider go back in time."""
    for form in forms_of(folder.recipe, history):
        views = list(history.of("viewed", form=form))
        if views or is_live(folder):
            st.subheader(QUESTIONS[form], help=explain(form))
            _one(folder, history, form, views)


def _one(folder: RunFolder, history: History, form: str, views: list[Event]) -> None:
    parts = dict.fromkeys(str(view["part"]) for view in views)
    default = _weakest(history, list(parts))
    blocks = {part: part for part in dict.fromkeys([*default, *parts])}
    first = {NEWEST: "the one at work"} if is_live(folder) else {}
    left, right = st.columns([2, 3], gap="medium", vertical_alignment="bottom")
    with left:
        block = menu("Block", first | blocks, f"{form}-block")
    place = f"policy-{form}"  # another name is another figure in the same place: no new mount
    if block == NEWEST:
        live_chart(CHARTS[form](), folder, history, key=place, name=f"{form}-live")
        st.caption("The block at work, look by look." if is_live(folder) else "The last block.")
        return
    seen = [view for view in views if view["part"] == block]
    at = len(seen)
    if len(seen) > 1:
        with right:
            key = f"policy-{form}-{folder.run_id}-{block}"
            at = st.slider(
                "Look", 1, len(seen), len(seen), key=key, help="From the first to the last."
            )
    chart = extended(CHARTS[form](), seen[:at])
    name = f"{form}-{block}-{at}"
    key = f"{place}-{folder.run_id}"
    mount.live_plot(chart, key=key, name=name, run=folder.run_id, offset=history.offset)
    st.caption(words(form, seen[:at]))


def _weakest(history: History, parts: list[str]) -> list[str]:
    """The block with the layer whose own error is largest: there is most to see. None before any."""
    known = [
        (event["values"]["sqnr_local_db"], event["block"])
        for event in history.layers_measured()
        if event["block"] in parts and event["values"].get("sqnr_local_db") is not None
    ]
    return [min(known)[1]] if known else []
