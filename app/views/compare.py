"""How do two sets of images differ? The same films, maps and numbers, side by side."""

import streamlit as st

from app.choices import title_of
from app.components import mount
from app.panels.compare.image_statistics import class_histogram, distributions, features, spreads
from app.panels.compare.measures import measures
from app.panels.compare.pick import pick_runs
from app.panels.compare.side_by_side import common_axis, courses, films, gap_maps, what_differs
from app.panels.empty_page import nothing_yet
from app.run_folders import is_live, open_run, state_of
from app.text import explain
from app.words import plain
from engine.run.folders.folder import ACTIVE
from engine.run.questions.compare import open_side

LOOK_EVERY_S = 3.0

st.title("Which images are better, and in what?")
runs = pick_runs(most=4)
if runs is None:
    nothing_yet()
    st.stop()
if len(runs) < 2:
    st.info(
        "Choose two runs or more: what they share in their recipes is then told from what differs."
    )
    st.stop()


def comparison(ids: list[str]) -> None:
    """All of it, a container each question, so that what appears in one leaves the others as they are."""
    sides = [open_side(open_run(run)) for run in ids]
    networks = {side.run.recipe.model for side in sides}
    if len(networks) > 1:
        st.warning(
            "These runs are of different networks ("
            + ", ".join(plain(title_of("models", name)) for name in sorted(networks))
            + "): films and numbers stand beside each other, maps of layers and features do not."
        )
    with st.container():
        what_differs(sides)
    st.subheader("How did the images grow?", help=explain("images"))
    steps = common_axis(sides)
    with st.container():
        films(sides, steps)
    with st.container():
        courses(sides, steps)
    st.subheader("Which layers agree, and when?", help=explain("gap"))
    with st.container():
        gap_maps(sides, steps)
    st.subheader("What do the numbers say?", help=explain("measures"))
    with st.container():
        measures(sides)
    if any(side.portrait for side in sides):
        st.subheader("At which layers do the images differ?", help=explain("spread"))
        spreads(sides)
        st.subheader("What does the teacher see?", help=explain("features"))
        features(sides)
        class_histogram(sides)
        st.subheader("How alike are the images?", help=explain("alike"))
        distributions(sides)


at_work = any(is_live(run) and state_of(run) in ACTIVE for run in runs)
comparison([run.run_id for run in runs])
if at_work:
    mount.pulse(live=True, every_s=LOOK_EVERY_S)
