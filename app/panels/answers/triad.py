"""Noise, synthetic, real: what images are worth, and what having none of one's own costs."""

import dataclasses
from itertools import pairwise
from typing import Any

import streamlit as st

from app.charts.outcomes.results import Accuracy, accuracies, overlap
from app.charts.style import FLOAT, QUANTIZED, QUIET
from app.components import mount
from app.engine_calls.actions import same_with, start_run
from app.engine_calls.choices import load_catalog, title_of
from app.panels.answers.accounting import accounting
from app.panels.shared.press import button
from app.presets import USUAL
from app.run_files.run_folders import runs_folder
from app.text import explain
from app.wording.words import plain
from engine.run.folders.folder import RunFolder, list_runs
from engine.run.recipes.recipe import Recipe, refusal

TITLE = "What are the images worth?"
NO_ACCURACY = (
    "There is no accuracy to compare without labels and classes: tick such runs on the page Runs to see how "
    "near to the float network each stays."
)
CONTROLS = ("noise", "real")
FREE = ("synthesis", "synthesis_settings", "preset")  # in what the members may differ


def triad(folder: RunFolder) -> None:
    """The finished runs of this recipe that differ only in where their images came from."""
    recipe = folder.recipe
    members = _members(folder, recipe)
    st.subheader(TITLE, help=explain("triad"))
    rows = [row for name, run in members.items() if (row := _accuracy(name, run))]
    if len(rows) > 1:
        left, right = st.columns(2, gap="medium")
        with left:
            chart = accuracies(rows)
            mount.live_plot(
                chart, key=f"triad-{folder.run_id}-{len(rows)}", run=folder.run_id, offset=0
            )
            for line in _comparisons(rows):
                st.markdown(f"- {line}")
        with right:
            accounting(folder, members)
    if not rows:
        st.caption(NO_ACCURACY)
    wanted = [name for name in CONTROLS if name not in members]
    if all(name in CONTROLS for name in members):
        wanted.insert(0, USUAL["synthesis"])
    wanted = [name for name in wanted if _can_work(recipe, name)]
    if wanted:
        st.caption("The same recipe with images of another origin, to compare with:")
        with st.container(horizontal=True):
            for name in wanted:
                title = title_of("synthesis", name)
                if button(f"Run with: {plain(title)}", key=f"triad-{name}"):
                    start_run(same_with(recipe, name))
    elif len(rows) == 1:
        st.caption("No images of another origin can be had for this network, to compare with.")


def _can_work(recipe: Recipe, synthesis: str) -> bool:
    """Whether images of that origin can be had for the network; True where nobody knows yet."""
    catalog = load_catalog()
    model = next((one for one in catalog["models"] if one["name"] == recipe.model), None)
    return model is None or not refusal(
        catalog, "synthesis", synthesis, model, recipe.model_settings
    )


def _members(folder: RunFolder, recipe: Recipe) -> dict[str, RunFolder]:
    """By the name of the synthesis; this run before any other of the same synthesis."""
    members = {recipe.synthesis: folder}
    for other in list_runs(runs_folder()):
        try:
            same = _rest(other.recipe) == _rest(recipe)
        except (OSError, TypeError, ValueError):
            continue
        if same and other.result() is not None:
            members.setdefault(other.recipe.synthesis, other)
    order = sorted(members, key=lambda name: {"noise": 0, "real": 2}.get(name, 1))
    return {name: members[name] for name in order}


def _rest(recipe: Recipe) -> dict[str, Any]:
    fields = dataclasses.asdict(recipe)
    return {name: value for name, value in fields.items() if name not in FREE}


def _accuracy(name: str, run: RunFolder) -> Accuracy | None:
    result = run.result() or {}
    band = (result.get("top1_band") or {}).get("quantized")
    if result.get("quantized_top1") is None or not band:
        return None
    colour = {"noise": QUIET, "real": FLOAT}.get(name, QUANTIZED)
    return Accuracy(
        name=title_of("synthesis", name),
        top1=result["quantized_top1"],
        low=band[0],
        high=band[1],
        colour=colour,
    )


def _comparisons(rows: list[Accuracy]) -> list[str]:
    lines = []
    for one, other in pairwise(rows):
        if overlap(one, other):
            lines.append(f"{one.name} and {other.name}: **not distinguishable** by this test set.")
        else:
            better, worse = (one, other) if one.top1 > other.top1 else (other, one)
            points = 100 * (better.top1 - worse.top1)
            lines.append(f"{better.name} is **{points:.1f} points better** than {worse.name}.")
    return lines
