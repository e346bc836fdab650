"""What ran, which is better, and is it real? The list of all runs; two or more of them side by side."""

import streamlit as st

from app.differences import told_differences
from app.panels.compare.page import comparison
from app.panels.empty_page import nothing_yet
from app.panels.keys import own_key
from app.panels.runs.damaged import damaged_rows
from app.panels.runs.filters import filtered
from app.panels.runs.selected import selected_panel
from app.panels.runs.table import many_runs_table
from app.run_folders import readable, recorded_run, runs_folder
from engine.run.folders.folder import damaged_runs, list_runs

AT_ONCE = 12  # rows


def everything() -> None:
    """The list, what is done with it, and what cannot be opened any more."""
    st.title("Everything that ran")
    own_key()
    recorded = recorded_run()
    own = [folder for folder in list_runs(runs_folder()) if readable(folder)]
    if not own:
        nothing_yet()
    folders = [*own, *([recorded] if recorded else [])]
    found = filtered(folders)
    # A new table after each change of what it holds: rows that are ticked are known by their place.
    key = f"runs-{hash(tuple(folder.run_id for folder in found))}"
    chosen = many_runs_table(found, told_differences(own), key=key, at_once=AT_ONCE)
    selected_panel(chosen)
    damaged_rows(damaged_runs(runs_folder()))


if st.query_params.get("runs"):
    st.page_link("views/runs.py", label="All runs", icon=":material/arrow_back:")
    st.title("Which is better, and is it real?")
    comparison()
else:
    everything()
