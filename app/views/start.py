"""What is this? A recorded run plays; a click starts one of your own."""

import streamlit as st

from app.choices import load_catalog
from app.history import read_history
from app.panels.head.headline import headline
from app.panels.images.growth import film, gap_map
from app.panels.new_run.dialog import new_run_button
from app.panels.preset_cards import preset_cards
from app.panels.runs.table import runs_table
from app.run_folders import recorded_run, runs_folder
from app.words import plain, recipe_words
from engine.run.folders.folder import list_runs

RECENT = 8

st.title("See what low bits do to a network, without its data")
recorded = recorded_run()
if recorded is None:
    st.write(
        "Pick a network and a method: images grow out of nothing but the network's own BatchNorm "
        "statistics, and each layer loses its bits before your eyes."
    )
else:
    history = read_history(recorded)
    st.markdown(
        "These images grow out of noise, **from nothing but the statistics stored in the network**: "
        "no data. The map grows with them: a row is a layer, and dark means that it agrees."
    )
    left, right = st.columns([5, 6], gap="medium")
    with left:
        film(recorded, history, autoplay=True, loop=True)
    with right:
        gap_map(recorded, history, height=430, cursor="reveal")
    headline(recorded)
    st.caption(f"A recorded run: {plain(recipe_words(recorded.recipe))}.")
    st.page_link(
        "views/run.py",
        label="Look into this run",
        icon=":material/science:",
        query_params={"run": recorded.run_id},
    )

st.subheader("Try it: one click, then watch")
try:
    with st.spinner("Looking what networks and methods there are…", show_time=True):
        catalog = load_catalog()
except (RuntimeError, OSError) as error:
    st.error(f"The engine could not say what it has. {plain(error)}")
    st.stop()
preset_cards(catalog)
new_run_button("Your own recipe", key="own", icon=":material/tune:")

recent = list_runs(runs_folder())[:RECENT]
if recent:
    st.subheader("Recent runs")
    # A new table after each opening: else the row that is still selected would open once more.
    opened = st.session_state.setdefault("opened", 0)
    chosen = runs_table(recent, key=f"recent-{opened}")
    if chosen is not None:
        st.session_state["opened"] = opened + 1
        st.switch_page("views/run.py", query_params={"run": chosen.run_id})
