"""What buttons do: start, steer and delete; a mistake of the user becomes a line on the page.

Whether whoever pressed a button may, is asked here, and not only where the button is drawn: what a browser
sends need not come from a button.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import streamlit as st

from app.access.visitors import check_control, may_control, own_mark
from app.engine_calls.choices import forget_catalog, load_catalog
from app.engine_calls.recipes import recipe_of
from app.links.onward import lead_to, onward
from app.run_files.run_folders import runs_folder, state_of
from app.wording.engine_words import page_text
from app.wording.words import STATES, plain
from engine.core.errors import UserError
from engine.run import fork, networks
from engine.run.folders.folder import ACTIVE, RunFolder
from engine.run.folders.owner import claim
from engine.run.networks import Brought
from engine.run.questions.doctor import answers as doctor
from engine.run.recipes.recipe import Recipe
from engine.run.workers import launch

T = TypeVar("T")
SLOW_S = 0.4  # a step can be followed by eye


def start_run(wanted: dict[str, Any]) -> None:
    """Start the run and go to its page; explains itself on the page where it cannot."""
    way = onward()
    folder = started(wanted)
    if folder is not None:
        lead_to(way, run=folder.run_id)


def started(wanted: dict[str, Any]) -> RunFolder | None:
    """The run, started, or found where it was there; None, and a line on the page, where it cannot be."""

    def start() -> RunFolder:
        recipe = recipe_of(load_catalog(), runs=runs_folder(), **wanted)
        take(recipe)
        return launch.start(recipe, runs_folder())

    return _explained(start)


def try_it(folder: RunFolder, finding: dict[str, Any]) -> str | None:
    """Start the run of a finding's change, which is measured once it has ended: its name; None where it
    cannot be started.
    """

    def start(recipe: Recipe, runs: Path) -> RunFolder:
        take(recipe)
        return launch.start(recipe, runs)

    begun = _explained(lambda: doctor.begin(folder, finding, work=start))
    return None if begun is None else str(begun["run"])


def _explained(start: Callable[[], T]) -> T | None:
    """What it gives; None, and a line on the page, where it cannot start anything."""
    try:
        return start()
    except UserError as error:
        st.error(page_text(error))
    except OSError as error:
        why = f"{plain(runs_folder())}: {plain(error.strerror or error)}"
        st.error(f"The run could not be started in {why}.")
    return None


def take(recipe: Recipe) -> None:
    """Make a new run that of whoever starts it; UserError where it is somebody else's, who ended it."""
    folder = RunFolder(runs_folder() / recipe.run_id)
    claim(folder.path, own_mark(), made="recipe.json")
    if (folder.path / "recipe.json").exists() and state_of(folder) not in (*ACTIVE, "done"):
        state = STATES.get(state_of(folder), state_of(folder))
        check_control(folder.path, f"This recipe is run {folder.run_id} ({state}), which")


def fork_run(source: RunFolder, changes: dict[str, Any]) -> RunFolder:
    """The run's other future; the run itself goes on where it is one's own. UserError where it cannot be."""
    other = fork.fork(source, changes, load_catalog(), owner=own_mark())
    if may_control(source.path):
        launch.go_on(source)
    return other


def fields_of(recipe: Recipe) -> dict[str, Any]:
    """What to ask for to get the same recipe again: all but what follows from the rest."""
    fields = dataclasses.asdict(recipe)
    for name in ("contents", "forked_from"):
        fields.pop(name)
    return fields


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
        "fast": lambda: launch.set_pace(folder, 0.0),
        "slow": lambda: launch.set_pace(folder, SLOW_S),
        "step": lambda: launch.step(folder),
        "cancel": lambda: launch.cancel(folder),
        "resume": lambda: launch.resume(folder),
    }
    try:
        check_control(folder.path, "This run")
        acts[wish]()
    except UserError as error:
        st.error(page_text(error))


def delete_run(folder: RunFolder) -> None:
    """Remove the run for good; UserError where it is at work, or somebody else's."""
    check_control(folder.path, "This run")
    folder.delete()
    if st.session_state.get("run") == folder.run_id:
        del st.session_state["run"]


def save_network(name: str, brought: Brought, *, replace: bool) -> str:
    """The full name of what is saved; UserError where it cannot be, or would replace somebody else's."""
    folder = networks.networks_folder(runs_folder()) / name.removeprefix(networks.PREFIX)
    if replace and folder.exists():
        check_control(folder, f"Network mine/{folder.name}")
    over = replace and folder.exists()
    saved = networks.save(name, brought, runs_folder(), replace=over, owner=own_mark())
    forget_catalog()
    return str(saved["name"])


def forget_network(name: str) -> None:
    """Remove a saved network for good; UserError where it is somebody else's."""
    folder = networks.networks_folder(runs_folder())
    check_control(folder / name.removeprefix(networks.PREFIX), f"Network {name}")
    networks.forget(name, folder)
    forget_catalog()
