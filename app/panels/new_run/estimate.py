"""How long, how much memory: before anything is started."""

from typing import Any

import streamlit as st

from app.engine_calls.background import look_again
from app.engine_calls.diagnoses import at_presets, diagnosis, estimate
from app.engine_calls.recipes import recipe_of
from app.wording.engine_words import page_text
from app.wording.words import EFFORTS, time_words
from engine.core.errors import UserError
from engine.run.questions.before_a_run.diagnose import findings_for
from engine.run.recipes.recipe import Recipe

ICONS = {"problem": ":red[:material/error:]", "warning": ":orange[:material/warning:]"}


def estimate_words(known: dict[str, Any]) -> str:
    """For example "about 2 min (1 to 4 min), 1.3 GB"."""
    low, likely, high = known["total_s"]
    text = f"about **{time_words(likely)}** ({time_words(low)} to {time_words(high)})"
    if known["memory_mb"]:
        text += f", {known['memory_mb'][1] / 1000:.1f} GB of memory"
    return text


def preset_estimates(catalog: dict[str, Any], wanted: dict[str, Any]) -> None:
    """The presets side by side; looks again by itself while something is still being measured."""
    recipes = at_presets(catalog, wanted)
    answers = {preset: estimate(recipe) for preset, recipe in recipes.items()}
    for column, preset in zip(st.columns(len(recipes) or 1), recipes, strict=False):
        with column.container(border=True, height="stretch"):
            _preset(preset, recipes[preset], answers[preset])
    look_again(any(answer.is_pending for answer in answers.values()))


def _preset(preset: str, recipe: Recipe, answer: Any) -> None:
    st.markdown(f"**{EFFORTS.get(preset, preset)}**")
    if answer.error:
        st.caption(page_text(answer.error))
        return
    if answer.is_pending:
        st.caption("A few steps are being measured…")
        return
    known = answer.value
    low, likely, high = known["total_s"]
    st.metric("Time", time_words(likely), help="Synthesis, quantization and evaluation together.")
    st.caption(f"between {time_words(low)} and {time_words(high)}")
    if known["memory_mb"]:
        st.metric("Memory", f"{known['memory_mb'][1] / 1000:.1f} GB")
    parts = ", ".join(f"{stage} {time_words(s)}" for stage, s in known["seconds"].items())
    st.caption(f"{recipe.images} images; {parts}.")
    if known["warning"]:
        st.error(f"{page_text(known['warning'])}.", icon=":material/memory:")


def source_words(known: dict[str, Any]) -> str:
    """Where an estimate is from, and how far off it may be."""
    text = f"{known['source'].capitalize()}; good to a factor of {known['factor']:g}."
    if known["busy"] >= 1.5:
        text += (
            f" While it was measured, other work made it {known['busy']:.1f} times slower: as long as that "
            "lasts, so is a run."
        )
    return text


def before_start(catalog: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """What it would take, time, memory and the worst finding; never in the way of Start.

    Returns whether some of it is still being measured.
    """
    try:
        recipe = recipe_of(catalog, **wanted)
    except (UserError, KeyError, OSError):
        return False  # the start says what is wrong
    cost, network = estimate(recipe), diagnosis(recipe)
    parts = [_cost(cost)]
    parts += [_worst(recipe, network.value)] if network.value else []
    parts += [f"{ICONS['problem']} {page_text(network.error)}"] if network.error else []
    st.markdown("  \n".join(part for part in parts if part))
    return cost.is_pending or network.is_pending


def _cost(answer: Any) -> str:
    if answer.error:
        return ""
    if answer.is_pending:
        return ":material/schedule: How long it takes is being measured…"
    text = f":material/schedule: {estimate_words(answer.value)}."
    warning = answer.value["warning"]
    return f"{text}  \n{ICONS['problem']} {page_text(warning)}." if warning else text


def _worst(recipe: Recipe, answer: dict[str, Any]) -> str:
    worst = next(iter(findings_for(answer, recipe)), None)
    if worst is None or worst["level"] == "note":
        return ""
    return (
        f"{ICONS[worst['level']]} **{page_text(worst['title'])}.** {page_text(worst['message'])}."
    )
