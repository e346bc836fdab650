"""Sweeps that a page asks for: what they would be, starting and stopping them, and what came of them."""

from pathlib import Path
from typing import Any

import streamlit as st

from app.access.visitors import check_control, own_mark
from app.engine_calls.actions import take
from app.engine_calls.choices import load_catalog
from app.links.address import plain_name
from app.run_files.run_folders import runs_folder
from engine.core.errors import UserError
from engine.run.folders.owner import claim
from engine.run.sweeps import process
from engine.run.sweeps.plan import Planned, make_sweep, planned, recipes_of


def plan_of(asked: dict[str, Any]) -> list[Planned]:
    """Every run that the choices multiply to; UserError where they cannot be a sweep."""
    return planned(make_sweep(**asked), load_catalog(), runs_folder())


@st.cache_data(ttl=300, max_entries=50, show_spinner=False)
def kept_plan(runs: str, name: str, asked_s: float) -> list[Planned]:  # noqa: ARG001  (the cache's key)
    """The plan of a sweep that was started, kept: to multiply hundreds of recipes takes a moment."""
    return plan_of(process.request_of(Path(runs) / process.FOLDER / name))


def start_sweep(asked: dict[str, Any]) -> Path:
    """The folder of the sweep, which is now at work; UserError where it cannot be, or is somebody else's."""
    recipes = recipes_of(plan_of(asked))
    if not recipes:
        raise UserError("None of these runs can work; choose other images or another quantizer")
    folder = process.folder_of(asked, runs_folder())
    claim(folder, own_mark(), made=process.ASKED)
    check_control(folder, "This sweep")
    for (
        recipe
    ) in recipes:  # the process knows no visitors: what it makes is theirs before it begins
        take(recipe)
    return process.begin(asked, runs_folder())


def stop_sweep(folder: Path) -> None:
    """End the sweep and the runs that it has begun; UserError where it is somebody else's."""
    check_control(folder, "This sweep")
    process.stop(folder)


def sweep_folder(name: str) -> Path:
    """The folder of a sweep by the name in the address; UserError where there is none."""
    folder = runs_folder() / process.FOLDER / plain_name(name)
    if not (folder / process.ASKED).is_file():
        raise UserError("This sweep is not here; start it anew")
    return folder
