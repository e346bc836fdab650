"""Cards that start a run with one click, or open it where it is there already; each says what it costs."""

from typing import Any

import streamlit as st

from app.engine_calls.actions import fields_of, started
from app.engine_calls.background import look_again
from app.engine_calls.diagnoses import estimate, known_estimate
from app.engine_calls.recipes import recipe_of
from app.links.onward import Onward, lead_to, onward
from app.panels.new_run.estimate import estimate_words
from app.panels.shared.press import button
from app.presets import CARDS, Preset
from app.run_files.run_folders import (
    is_recorded,
    open_run,
    recorded_run,
    runs_folder,
    state_of,
)
from app.wording.words import plain, time_words
from engine.core.errors import UserError
from engine.core.percent import percent
from engine.run.folders.folder import ACTIVE, RunFolder, list_runs
from engine.run.recipes.recipe import Recipe

A_ROW = 5
LARGE = 64  # pixels of a side: beyond, steps are measured only where somebody asks


def preset_cards(catalog: dict[str, Any]) -> None:
    """A card for every preset whose network and methods this installation has."""
    cards = [card for card in CARDS if _known(catalog, card)]
    pending = False
    for at in range(0, len(cards), A_ROW):
        row = cards[at : at + A_ROW]
        for column, card in zip(st.columns(len(row)), row, strict=True):
            with column.container(border=True, height="stretch", vertical_alignment="distribute"):
                pending |= _card(catalog, card)
    look_again(pending)


def _card(catalog: dict[str, Any], card: Preset) -> bool:
    """The card; whether what it costs is still being measured."""
    model = _entry(catalog, "models", card.wanted["model"])
    unavailable = "" if model["available"] else str(model["reason"])
    recipe = None if unavailable else _recipe(catalog, card)
    there = None if recipe is None else _finished(catalog, recipe)
    pending = False
    with st.container(gap="xxsmall"):
        st.markdown(f"**{card.title}**")
        st.caption(card.text)
        if there is not None:
            st.caption(_took(there))
        elif recipe is not None:
            pending = _cost(recipe, model)
    with st.container(gap="xsmall"):
        _buttons(card, there, unavailable)
    return pending


def _buttons(card: Preset, there: RunFolder | None, unavailable: str) -> None:
    wide: dict[str, Any] = {"width": "stretch"}
    if there is not None and button(
        "Open it", key=f"open-{card.name}", type="primary", icon=":material/visibility:",
        **wide,
    ):  # fmt: skip
        _go(onward(), there, card)
    if there is not None and not is_recorded(there):
        return  # the same recipe is the same run: to start it once more would only open it
    fresh = there is None
    if button(
        "Start" if fresh else "Run it here", key=f"card-{card.name}",
        type="primary" if fresh else "secondary", icon=":material/play_arrow:",
        disabled=bool(unavailable), help=unavailable or None, **wide,
    ):  # fmt: skip
        way = onward()
        folder = started(card.wanted)
        if folder is not None:
            _go(way, folder, card)


def _go(way: Onward, folder: RunFolder, card: Preset) -> None:
    lead_to(way, run=folder.run_id, **({"tab": card.tab} if card.tab else {}))


def _recipe(catalog: dict[str, Any], card: Preset) -> Recipe | None:
    try:
        return recipe_of(catalog, runs=runs_folder(), **card.wanted)
    except (UserError, OSError):
        return None  # its button says why


def _finished(catalog: dict[str, Any], recipe: Recipe) -> RunFolder | None:
    """The recipe's run, where it ended here or comes with the project."""
    try:
        folder = open_run(recipe.run_id)
    except UserError:
        return _shipped(catalog, recipe)
    return folder if folder.result() is not None else None


def _shipped(catalog: dict[str, Any], recipe: Recipe) -> RunFolder | None:
    """The project's own run, where it is the recipe's but for settings that came after it, at their usual."""
    recorded = recorded_run()
    if recorded is None or recorded.result() is None:
        return None
    try:
        today = recipe_of(catalog, runs=runs_folder(), **fields_of(recorded.recipe))
    except (UserError, KeyError, TypeError, ValueError, OSError):
        return None
    return recorded if today.run_id == recipe.run_id else None


def _took(folder: RunFolder) -> str:
    """How a finished run ended, and what it took."""
    result = folder.result() or {}
    seconds = sum(result.get("seconds", {}).values())
    where = "comes with the project" if is_recorded(folder) else "ran here"
    text = f":material/check_circle: It {where}; took {time_words(seconds)}"
    if result.get("peak_memory_mb"):
        text += f", {result['peak_memory_mb'] / 1000:.1f} GB"
    if result.get("quantized_top1") is not None:
        text += f": **{percent(result['quantized_top1'])}** right"
    return f"{text}."


def _cost(recipe: Recipe, model: dict[str, Any]) -> bool:
    """Time and memory by the estimate; whether it is still being measured.

    A network of large images is not measured for everybody who opens the page: that takes a minute and
    gigabytes, beside whatever else the machine is doing. Nor is any while a run is at work, which would
    have to share the machine with it; a paused one computes nothing.
    """
    side = max((model.get("image_shape") or [0])[1:], default=0)
    at_work = set(ACTIVE) - {"paused"}
    waits = side > LARGE or any(state_of(run) in at_work for run in list_runs(runs_folder()))
    known = known_estimate(recipe) if waits else estimate(recipe)
    if known is None:
        why = f"Images of {side} pixels: minutes." if side > LARGE else "A run is at work."
        st.caption(f":material/schedule: {why} New run measures it here.")
        return False
    if known.is_pending:
        st.caption(":material/schedule: Its pace on this machine is being measured…")
    elif known.error:
        st.caption(f":material/schedule: {plain(known.error)}")
    else:
        st.caption(f":material/schedule: {estimate_words(known.value)}")
        if known.value["warning"]:
            st.caption(f":orange[:material/memory: {plain(known.value['warning'])}.]")
    return known.is_pending


def _known(catalog: dict[str, Any], card: Preset) -> bool:
    kinds = {"models": "model", "synthesis": "synthesis", "quantization": "quantization"}
    return all(
        any(entry["name"] == card.wanted[field] for entry in catalog[kind])
        for kind, field in kinds.items()
    )


def _entry(catalog: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    return next(entry for entry in catalog[kind] if entry["name"] == name)
