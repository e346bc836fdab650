"""How do the images grow, and which layers' statistics do they agree with?"""

import streamlit as st

from app.charts import synthesis
from app.components import mount
from app.history import History
from app.panels.head.run_head import is_live
from app.panels.head.what_if import ablations, fork_panel
from app.panels.images.growth import film, gap_map, live_chart
from app.panels.room import ROW_REM, room
from app.run_folders import state_of
from app.state import current_view
from app.text import explain
from engine.run.folders.folder import ACTIVE, RunFolder


def draw(folder: RunFolder, history: History) -> None:
    """Film, map, channels and losses."""
    view = current_view()
    with room("what-if", ROW_REM), st.container(horizontal=True, vertical_alignment="center"):
        fork_panel(folder)
        ablations(folder, "synthesis")
    if history.last("run-started") is None:
        if state_of(folder) in ACTIVE:
            st.info("The worker loads the network; the first images come within seconds.")
        else:
            st.caption("This run ended before there was anything to see.")
        return

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
            st.info(
                "This network has no BatchNorm: it keeps no statistics for images to agree with."
            )

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
