"""The comparison of ticked runs: results first, layers, and then how their images differ."""

from collections.abc import Sequence

import streamlit as st

from app.choices import title_of
from app.components import mount
from app.panels.compare.image_statistics import class_histogram, distributions, features, spreads
from app.panels.compare.measures import measures
from app.panels.compare.pick import pick_runs
from app.panels.compare.results import layer_results, results
from app.panels.compare.side_by_side import common_axis, courses, films, gap_maps, what_differs
from app.panels.head.run_head import is_live
from app.run_folders import open_run, state_of
from app.text import explain
from app.words import plain
from engine.run.folders.folder import ACTIVE, RunFolder
from engine.run.questions.compare import Side, open_side

LOOK_EVERY_S = 3.0
MOST = 4


def comparison() -> None:
    """All of it; a container each question, so that what appears in one leaves the others as they are."""
    runs = pick_runs(most=MOST)
    if not runs or len(runs) < 2:
        st.info("Choose two runs or more: what they share is then told from what differs.")
        return
    sides = [open_side(open_run(run.run_id)) for run in runs]
    with st.container():
        what_differs(sides)
    with st.container():
        results(runs)
    networks = {side.run.recipe.model for side in sides}
    if len(networks) > 1:
        names = ", ".join(plain(title_of("models", name)) for name in sorted(networks))
        st.warning(
            f"These runs are of different networks ({names}): films and numbers stand beside each other, "
            "maps of layers and features do not."
        )
    else:
        with st.container():
            layer_results(runs)
    _images(sides)
    _watch(runs)


def _images(sides: Sequence[Side]) -> None:
    st.subheader("How did the images grow?", help=explain("images"))
    steps = common_axis(sides)
    with st.container():
        films(sides, steps)
    with st.container():
        courses(sides, steps)
    st.subheader("Which layers agree, and when?", help=explain("gap"))
    with st.container():
        gap_maps(sides, steps)
    st.subheader("What do the numbers say of the images?", help=explain("measures"))
    with st.container():
        measures(sides)
    if any(side.portrait for side in sides):
        with st.expander("At which layers the images differ, and how alike they are"):
            st.subheader("At which layers do the images differ?", help=explain("spread"))
            spreads(sides)
            st.subheader("What does the teacher see?", help=explain("features"))
            features(sides)
            class_histogram(sides)
            st.subheader("How alike are the images?", help=explain("alike"))
            distributions(sides)


def _watch(runs: Sequence[RunFolder]) -> None:
    if any(is_live(run) and state_of(run) in ACTIVE for run in runs):
        mount.pulse(live=True, every_s=LOOK_EVERY_S)
