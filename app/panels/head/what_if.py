"""What if? The same recipe with one part off, or a run forked in the middle with other settings."""

import dataclasses
from typing import Any

import streamlit as st

from app.engine_calls.actions import fork_run, started
from app.engine_calls.choices import load_catalog
from app.links.onward import lead_to, lead_to_both, onward
from app.panels.head.outcome import ENDED_EARLY
from app.panels.new_run.knobs import knobs
from app.panels.shared.press import button
from app.run_files.run_folders import is_recorded, state_of
from app.wording.engine_words import page_text
from engine.core.errors import UserError
from engine.run.folders.folder import RunFolder
from engine.run.fork import can_change, can_fork
from engine.run.recipes.recipe import find


def parts_of(
    settings: list[dict[str, Any]], chosen: dict[str, Any]
) -> list[tuple[dict[str, Any], Any]]:
    """The parts of a method that are on: the setting of each, and a value that switches it off.

    A setting may have several such values. What is a part of something that is off is off as well.
    """
    by_name = {knob["name"]: knob for knob in settings}

    def is_on(name: str) -> bool:
        off, within = by_name[name].get("off", ()), by_name[name].get("within")
        return chosen.get(name) not in (None, *off) and (not within or is_on(within))

    return [
        (by_name[name], off)
        for name in by_name
        if is_on(name)
        for off in by_name[name].get("off", ())
    ]


def ablations(folder: RunFolder, kind: str) -> None:
    """Buttons that run the recipe with one part of its method off, and compare the two."""
    recipe = folder.recipe
    try:
        settings = find(load_catalog(), kind, getattr(recipe, kind))["settings"]
    except (UserError, RuntimeError, OSError):
        return
    chosen = getattr(recipe, f"{kind}_settings")
    parts = parts_of(settings, chosen)
    if not parts:
        return
    with st.popover("Try it without…", icon=":material/toggle_off:", key=f"without-{kind}"):
        st.caption("The same recipe and seed with one part off; the two stand side by side.")
        for knob, value in parts:
            name, label = knob["name"], str(knob["label"])
            told = f"{label}: {value:g}" if isinstance(value, float) else f"{label}: {value}"
            if button(
                told if value else label, key=f"ablate-{kind}-{name}-{value}", width="stretch",
                help=knob["help"] or None,
            ):  # fmt: skip
                _start_without(folder, kind, {name: value})


def _start_without(folder: RunFolder, kind: str, change: dict[str, Any]) -> None:
    fields = dataclasses.asdict(folder.recipe)
    for name in ("contents", "forked_from"):
        fields.pop(name)
    fields[f"{kind}_settings"] = fields[f"{kind}_settings"] | change
    way = onward()
    other = started(fields)
    if other is not None and kind == "synthesis":
        lead_to_both(way, folder.run_id, other.run_id)
    if other is not None:
        lead_to(way, run=other.run_id, tab="layers")


@st.fragment
def fork_panel(folder: RunFolder) -> None:
    """A form for a run's other future."""
    nothing_to_fork = state_of(folder) in ENDED_EARLY and not can_fork(folder)
    if is_recorded(folder) or folder.result() is not None or nothing_to_fork:
        return
    with st.popover("Fork", icon=":material/fork_right:", key="fork"):
        if not can_fork(folder):
            st.caption(
                "Pause the run while its images grow; then it can be branched here, with other settings "
                "from that step on."
            )
            return
        recipe = folder.recipe
        try:
            settings = find(load_catalog(), "synthesis", recipe.synthesis)["settings"]
        except (UserError, RuntimeError, OSError) as error:
            st.error(page_text(error))
            return
        st.caption("Change a setting: both futures go on from the same state, one after the other.")
        open_ones = [knob for knob in settings if can_change(knob)]
        changes = knobs(open_ones, recipe.synthesis_settings, key=f"fork-{folder.run_id}")
        if button("Fork here", type="primary", key="fork-here", disabled=not changes):
            _fork(folder, changes)


def _fork(folder: RunFolder, changes: dict[str, Any]) -> None:
    way = onward()
    try:
        other = fork_run(folder, changes)
    except (UserError, OSError) as error:
        st.error(page_text(error))
        return
    lead_to_both(way, folder.run_id, other.run_id)
