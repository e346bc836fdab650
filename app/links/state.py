"""What the address remembers: which run, which step, which layer. Every view is a link."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import streamlit as st

from app.links.address import LONGEST_NAME, count
from app.run_files.run_folders import open_run, recorded_run, runs_folder, state_of
from app.wording.words import plain
from engine.core.errors import UserError
from engine.run.folders.folder import ACTIVE, RunFolder, list_runs


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What is looked at; a step of None follows the newest."""

    run: str
    step: int | None
    layer: str  # a path, or the number of a BatchNorm layer in an older address; empty for none


def current_view() -> View:
    """The view of the address; the run last looked at where the address names none."""
    run = st.query_params.get("run") or st.session_state.get("run", "")
    step = count(st.query_params.get("step"))
    return View(run=run, step=step, layer=st.query_params.get("layer", ""))


def layer_among(paths: Sequence[str], wanted: str) -> str:
    """Of these layers the one that is wanted, or that belongs to it, as a BatchNorm to its convolution.

    That is the one whose path agrees for longest, part by part from the front, and then in its last number;
    a number (of an older address) is a place in the list. Empty where none has anything in common with it.
    """
    if wanted in paths or not wanted:
        return wanted
    number = count(wanted)
    if number is not None and wanted.isdigit():
        return paths[number] if number < len(paths) else ""

    def likeness(path: str) -> tuple[int, bool]:
        pairs = zip(path.split("."), parts, strict=False)
        alike = takewhile(lambda pair: pair[0] == pair[1], pairs)
        number = _last_number(wanted)
        return len(list(alike)), bool(number) and _last_number(path) == number

    parts = wanted.split(".")
    best = max(paths, key=likeness, default="")
    return best if best and likeness(best) > (0, False) else ""


def _last_number(path: str) -> str:
    return path[len(path.rstrip("0123456789")) :]


def look_at(run: str) -> None:
    """Write the run into the address, and remember it for the other pages."""
    if st.query_params.get("run") != run:
        for name in ("step", "layer"):
            st.query_params.pop(name, None)
        st.query_params["run"] = run
    elif st.session_state.get("run") != run:
        # A link from run to run leaves the address in the browser as it was.
        st.query_params["run"] = run
    st.session_state["run"] = run


def current_run() -> RunFolder | None:
    """The run of the address, else the one at work, else the newest, else the recorded one.

    Explains itself on the page and returns None where the address names a run that is not there.
    """
    run = current_view().run
    if not run:
        found = newest_run() or recorded_run()
        if found is not None:
            look_at(found.run_id)
        return found
    try:
        folder = open_run(run)
    except UserError:
        st.session_state.pop("run", None)
        st.error(
            f"There is no run named {plain(repr(run[:LONGEST_NAME]))} here. It may have been deleted, or "
            "made on another machine. Choose one on the Runs page, or start one on the Start page."
        )
        return None
    look_at(folder.run_id)
    return folder


def newest_run() -> RunFolder | None:
    """A run at work before any other, else the newest."""
    folders = list_runs(runs_folder())
    at_work = [folder for folder in folders if state_of(folder) in ACTIVE]
    return next(iter(at_work or folders), None)
