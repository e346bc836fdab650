"""What is happening now? Images grow; layer by layer their statistics come to agree."""

import streamlit as st

from app.charts import synthesis
from app.components import mount
from app.history import read_history
from app.panels.branch import ablations, fork_panel
from app.panels.empty_page import nothing_yet
from app.panels.growth import film, gap_map, live_chart
from app.panels.outcome import notes
from app.panels.room import ROW_REM, room
from app.panels.run_head import is_live, run_head
from app.run_folders import state_of
from app.state import current_run, current_view
from app.text import explain
from engine.run.folders.folder import ACTIVE

folder = current_run()
if folder is None:
    nothing_yet()
    st.stop()

history = read_history(folder)
view = current_view()
run_head(folder, history)
with room("what-if", ROW_REM), st.container(horizontal=True, vertical_alignment="center"):
    fork_panel(folder)
    ablations(folder, "synthesis")
    st.page_link(
        "views/quantize.py",
        label="What do fewer bits do to each layer?",
        icon=":material/equalizer:",
        query_params={"run": folder.run_id},
    )

if history.last("run-started") is None:
    if state_of(folder) in ACTIVE:
        st.info("The worker loads the network; the first images come within seconds.")
    else:
        st.caption("This run ended before there was anything to see.")
    st.stop()

layers = history.started["bn_layers"]
left, right = st.columns([5, 6], gap="medium")
with left:
    st.subheader("What do the images look like?", help=explain("images"))
    film(folder, history, step=view.step, layer=view.layer, url=True)
with right:
    st.subheader("Which layers agree already?", help=explain("gap"))
    if layers:
        gap_map(folder, history)
    else:
        st.info("This network has no BatchNorm: it keeps no statistics for images to agree with.")

if layers:
    st.subheader("Which channels are off?", help=explain("channels"))
    st.caption("Click on a layer in the map above to look into it.")
    mount.channels(
        synthesis.channels(),
        key=f"channels-{folder.run_id}",
        run=folder.run_id,
        offset=history.offset,
        live=is_live(folder),
        ready=history.last("snapshot-saved", name="channels") is not None,
        layers=layers,
    )

if folder.recipe.synthesis_settings.get("steps"):
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("Which part of the loss dominates?", help=explain("losses"))
        live_chart(synthesis.losses(), folder, history, key="losses", cursor="line")
    with right:
        st.subheader("What does the teacher see in them?", help=explain("teacher"))
        live_chart(synthesis.teacher_view(), folder, history, key="teacher", cursor="line")
else:
    st.caption("These images are taken as they are: there is no loss to watch.")
with st.container():
    notes(folder, history, late=True)
