"""Runs against each other: results first, then layers, then images."""

from functools import partial

import streamlit as st

from app.components import mount
from app.engine_calls.choices import load_catalog, title_of
from app.panels.compare import results
from app.panels.compare.image_statistics import class_histogram, distributions, features, spreads
from app.panels.compare.measures import measures
from app.panels.compare.side_by_side import common_axis, courses, films, gap_maps, what_differs
from app.panels.shared.folded import folded
from app.panels.shared.not_here import not_here
from app.run_files.run_folders import is_live, open_run, state_of
from app.run_files.sides import side_of
from app.text import explain
from app.wording.differences import setting_labels
from app.wording.words import plain
from engine.run.folders.folder import ACTIVE
from engine.run.questions.compare import Side

LOOK_EVERY_S = 3.0
STATISTICS = "Spread, features and classes of the images"
NO_STATISTICS = (
    "None of these runs has statistics of its images: they are not done, or an older version made them. Let "
    "them end, or run their recipes again."
)


def comparison(ids: list[str]) -> None:
    """All of it, a container each question, so that what appears in one leaves the others as they are."""
    sides = [side_of(open_run(run)) for run in ids]
    with st.container():
        what_differs(sides, _labels())
    with st.container():
        results.results(sides)
    networks = {side.run.recipe.model for side in sides}
    if len(networks) > 1:
        st.warning(
            "These runs are of different networks ("
            + ", ".join(plain(title_of("models", name)) for name in sorted(networks))
            + "): films and numbers stand beside each other, maps of layers and features do not."
        )
    else:
        results.layers_heading()
        with st.container():
            results.layers(sides)
    st.subheader("How did the images grow?", help=explain("images"))
    with st.container():
        steps = common_axis(sides)
        films(sides, steps)
    _more_of_images(sides, steps)
    if any(is_live(side.run) and state_of(side.run) in ACTIVE for side in sides):
        mount.pulse(live=True, every_s=LOOK_EVERY_S)


def _labels() -> dict[tuple[str, str], str]:
    try:
        return setting_labels(load_catalog())
    except (RuntimeError, OSError):
        return {}


def _more_of_images(sides: list[Side], steps: int) -> None:
    title = "Gap, confidence and classes, step by step"

    def courses_and_maps() -> None:
        with st.container():
            courses(sides, steps)
        with st.container():
            gap_maps(sides, steps)

    folded(title, courses_and_maps, key="courses-more", icon=":material/show_chart:")
    numbers = "All numbers of the images"
    folded(numbers, partial(measures, sides), key="measures-more", icon=":material/table_rows:")
    if any(side.statistics for side in sides):
        draw = partial(_statistics, sides)
        folded(STATISTICS, draw, key="features-more", icon=":material/scatter_plot:")
    else:
        not_here({STATISTICS: NO_STATISTICS})


def _statistics(sides: list[Side]) -> None:
    st.subheader("At which layers do the images differ?", help=explain("spread"))
    spreads(sides)
    st.subheader("What does the teacher see?", help=explain("features"))
    features(sides)
    class_histogram(sides)
    st.subheader("How alike are the images?", help=explain("alike"))
    distributions(sides)
