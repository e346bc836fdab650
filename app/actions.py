"""What buttons do: start, steer and delete runs; a mistake of the user becomes a line on the page."""

import dataclasses
from typing import Any

import streamlit as st

from app.choices import load_catalog
from app.places import runs_folder
from engine.core.errors import UserError
from engine.run import launch
from engine.run.folder import RunFolder
from engine.run.recipe import Recipe, make_recipe

SLOW_S = 0.4  # a step can be followed by eye


def start_run(wanted: dict[str, Any]) -> None:
    """Start the run and go to the Live lab; explains itself on the page where it cannot."""
    try:
        recipe = make_recipe(load_catalog(), runs=runs_folder(), **wanted)
        folder = launch.start(recipe, runs_folder())
    except UserError as error:
        st.error(str(error))
        return
    except OSError as error:
        st.error(f"The run could not be started in {runs_folder()}: {error.strerror or error}.")
        return
    st.session_state["run"] = folder.run_id
    st.switch_page("views/lab.py", query_params={"run": folder.run_id})


def same_with(recipe: Recipe, synthesis: str) -> dict[str, Any]:
    """What to ask for to get the same recipe with images of another origin."""
    fields = dataclasses.asdict(recipe)
    fields.pop("synthesis_settings")
    return fields | {"synthesis": synthesis}


def steer(folder: RunFolder, wish: str) -> None:
    """Do what a button of the controls wishes; the page hears of the effect by the stream."""
    acts = {
        "pause": lambda: launch.pause(folder),
        "go on": lambda: launch.go_on(folder),
        "fast": lambda: launch.go_on(folder),
        "slow": lambda: launch.go_on(folder, slow_s=SLOW_S),
        "step": lambda: launch.step(folder),
        "cancel": lambda: launch.cancel(folder),
        "resume": lambda: launch.resume(folder),
    }
    try:
        acts[wish]()
    except UserError as error:
        st.error(str(error))
