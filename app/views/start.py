"""What is this? A recorded run plays, a slider answers at once, a click starts a run of one's own."""

import streamlit as st

from app.engine_calls.choices import load_catalog
from app.panels.new_run.dialog import new_run_button
from app.panels.runs.table import runs_table
from app.panels.start.bits import bits_slider
from app.panels.start.cards import preset_cards
from app.panels.start.growing import growing
from app.run_files.history import read_history
from app.run_files.run_folders import recorded_run, runs_folder
from app.wording.engine_words import page_text
from engine.run.folders.folder import list_runs

RECENT = 5

st.title("See what low bits do to a network, without its data", anchor=False)
recorded = recorded_run()
if recorded is None:
    st.write(
        "Pick a network and a method: images grow out of nothing but the network's own BatchNorm "
        "statistics, and each layer loses its bits before your eyes."
    )
else:
    st.markdown(
        "These images grow out of noise, **from nothing but what the network itself remembers**: no "
        "data. Under each: what the network takes it for, and how sure it is."
    )
    growing(recorded, read_history(recorded))
bits_slider()

st.subheader("Try it: one click, then watch", anchor=False)
try:
    with st.spinner("Looking what networks and methods there are…", show_time=True):
        catalog = load_catalog()
except (RuntimeError, OSError) as error:
    st.error(f"The engine could not say what it has. {page_text(error)}")
    st.stop()
preset_cards(catalog)

recent = list_runs(runs_folder())[:RECENT]
# Behind the cards for the keyboard; beside the heading of what ran, where something did.
left, right = st.columns([3, 2], vertical_alignment="bottom") if recent else [st.container()] * 2
with right, st.container(horizontal=True, horizontal_alignment="right" if recent else "left"):
    new_run_button("Choose network, method and bits", key="start-choose", icon=":material/tune:")
if recent:
    left.subheader("Recent runs")
    # A new table after each opening: else the row that is still selected would open once more.
    opened = st.session_state.setdefault("opened", 0)
    chosen = runs_table(recent, key=f"recent-{opened}")
    if chosen is not None:
        st.session_state["opened"] = opened + 1
        st.switch_page("views/run.py", query_params={"run": chosen.run_id})
