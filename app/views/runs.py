"""Which is better, and is it real? Everything that ran and waits; two or more ticked are compared."""

import streamlit as st

from app.engine_calls.choices import load_catalog
from app.panels.compare.comparison import comparison
from app.panels.compare.pick import pick_runs
from app.panels.runs.damaged import damaged_rows
from app.panels.runs.find import find_runs
from app.panels.runs.one import one_run
from app.panels.runs.open_bundle import open_bundle
from app.panels.runs.several import MOST_COMPARED, compare_button, delete_button
from app.panels.runs.table import many_runs, table_key
from app.panels.shared.empty_page import nothing_yet
from app.panels.shared.keys import own_key
from app.panels.shared.press import button
from app.panels.sweeps.page import sweep_list, sweep_page
from app.run_files.run_folders import recorded_run, runs_folder
from app.text import explain
from app.wording.differences import Ran, differences
from engine.run.folders.folder import RunFolder, damaged_runs, list_runs

AT_ONCE = 10  # rows


def compared() -> None:
    """The runs that the address names, against each other."""
    st.title("Which is better, and is it real?", anchor=False, help=explain("better"))
    if button("All runs", icon=":material/arrow_back:", key="all-runs"):
        st.query_params.clear()
        st.rerun()
    runs = pick_runs(most=MOST_COMPARED)
    if runs is None:
        nothing_yet()
    elif not list_runs(runs_folder()):
        nothing_yet("Nothing to compare it with yet")
    elif len(runs) < 2:
        st.info("Choose two runs or more.")
    else:
        comparison([run.run_id for run in runs])


def everything() -> None:
    """The table, and what can be done with the ticked rows."""
    left, right = st.columns([3, 1], vertical_alignment="center")
    left.title("What ran, and what came of it?", anchor=False)
    with right, st.container(horizontal=True, horizontal_alignment="right"):
        open_bundle()
    own_key()
    folders = list_runs(runs_folder())
    recorded = recorded_run()
    if not folders and recorded is None:
        nothing_yet()
    elif not folders:
        nothing_yet("None of your own yet")
    if recorded is not None and recorded.run_id not in {one.run_id for one in folders}:
        folders.append(recorded)
    if folders:
        found = find_runs(folders)
        differs = _differences(folders)
        chosen = many_runs(found, differs, key=table_key(found), at_once=AT_ONCE)
        if not found:
            st.info("No run has all of these words.")
        _with(chosen)
    sweep_list()
    damaged_rows(damaged_runs(runs_folder()))


def _with(chosen: list[RunFolder]) -> None:
    if not chosen:
        st.caption("Tick a run to open it or use its recipe; tick two or more to compare them.")
        return
    with st.container(horizontal=True):
        if len(chosen) > 1:
            compare_button(chosen)
        delete_button(chosen)
    if len(chosen) == 1:
        one_run(chosen[0])


def _differences(folders: list[RunFolder]) -> dict[str, str]:
    runs = []
    for folder in folders:
        try:
            runs.append(Ran(run_id=folder.run_id, recipe=folder.recipe, when_s=folder.asked_s()))
        except (OSError, TypeError, ValueError):
            continue  # just being deleted, or written by another version
    try:
        return differences(runs, load_catalog())
    except (RuntimeError, OSError):
        return differences(runs, {})


if st.query_params.get("runs"):
    compared()
elif st.query_params.get("sweep"):
    sweep_page(st.query_params["sweep"])
else:
    everything()
