"""How do the images grow, and which layers' statistics do they agree with?"""

from functools import partial

import streamlit as st

from app.charts.images import synthesis
from app.components import mount
from app.engine_calls.background import look_again
from app.links.state import current_view, layer_among
from app.panels.head.outcome import ENDED_EARLY, is_watched
from app.panels.head.what_if import ablations, fork_panel
from app.panels.images import ranges
from app.panels.images.growth import film, gap_map, live_chart, yet
from app.panels.images.verdict import growth_verdict, last_gaps, loss_words, teacher_words
from app.panels.shared.ask_why import why_not, why_unanswered
from app.panels.shared.folded import folded
from app.panels.shared.not_here import not_here
from app.panels.shared.room import room
from app.panels.shared.url_menu import menu
from app.run_files.history import History
from app.run_files.run_folders import is_live, state_of
from app.text import explain
from engine.run.folders.folder import ACTIVE, RunFolder

VERDICT_REM = 3.2  # two lines


def draw(folder: RunFolder, history: History) -> None:
    """A sentence, film and map, one layer's channels; for experts losses and confidence."""
    left, right = st.columns([7, 3], vertical_alignment="center")
    with left, room("verdict", VERDICT_REM):
        st.markdown(growth_verdict(history, growing=_grow(folder, history)))
    with right, st.container(horizontal=True, horizontal_alignment="right"):
        fork_panel(folder)
        ablations(folder, "synthesis")
    if _ended_early(folder, history):
        st.caption(f"This run ended before there was anything to see. {why_not(folder)}")
        return
    if history.last("run-started") is None:
        if state_of(folder) == "queued":
            st.caption("The images grow here once the runs before this one are done.")
        else:
            st.info("The worker loads the network; the first images come within seconds.")
        return
    with st.container():
        _film_and_map(folder, history)
    if history.started["bn_layers"]:
        with st.container():
            _channels(folder, history)
    with st.container():
        _for_experts(folder, history)
    with st.container():
        awaited = ranges.ranges_section(folder)
    not_here({ranges.TITLE: why_unanswered(folder, "ranges")})
    look_again(awaited)


def _ended_early(folder: RunFolder, history: History) -> bool:
    """Whether no image came and none will; whoever looked on keeps the empty charts in their places."""
    if history.last("run-started") is None:
        return state_of(folder) not in ACTIVE
    is_empty = not any(history.last(kind) for kind in ("snapshot-saved", "stepped"))
    return is_empty and state_of(folder) in ENDED_EARLY and not is_watched(folder)


def _grow(folder: RunFolder, history: History) -> bool:
    """Whether the images are being made now; where a run is paused they wait, and can be judged."""
    later = any(event["stage"] != "synthesis" for event in history.of("stage-started"))
    return state_of(folder) in ACTIVE and state_of(folder) != "paused" and not later


def _film_and_map(folder: RunFolder, history: History) -> None:
    layers, view = list(_layers(folder, history)), current_view()
    left, right = st.columns([5, 6], gap="medium")
    with left:
        st.subheader("What do the images look like?", help=explain("images"))
        first = "" if is_live(folder) else next(iter(layers), "")
        layer = layer_among(layers, view.layer) or first
        film(folder, history, step=view.step, layer=layer, url=True)
    with right:
        st.subheader("Which layers agree already?", help=explain("gap"))
        if layers:
            picked = gap_map(folder, history, pick="cell")
            if picked:
                st.query_params["layer"] = picked["layer"]
                st.query_params["step"] = str(int(picked["step"]))
        else:
            st.info(
                "This network has no BatchNorm: it keeps no statistics for images to agree with, neither by "
                "layer nor by channel. What the images are worth stands on the tab Answers."
            )


def _layers(folder: RunFolder, history: History) -> dict[str, str]:
    """Every BatchNorm with its title; once all is done the one furthest off comes first, and says so."""
    layers = {path: path for path in history.started["bn_layers"]}
    gaps = {} if is_live(folder) else last_gaps(history)
    if not gaps:
        return layers
    worst = max(gaps, key=lambda path: gaps[path])
    return {worst: f"{worst} (furthest off)"} | {p: t for p, t in layers.items() if p != worst}


def _channels(folder: RunFolder, history: History) -> None:
    layers = history.started["bn_layers"]
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    with left:
        st.subheader("Which channels are off?", help=explain("channels"))
    with right:
        # The address may name a layer of another tab: its BatchNorm stands for it here.
        found = layer_among(layers, current_view().layer)
        titles = _layers(folder, history)
        menu("Layer (or click on the map)", titles, "layer", asked=found)
    mount.channels(
        synthesis.channels(),
        key=f"channels-{folder.run_id}",
        run=folder.run_id,
        offset=history.offset,
        live=is_live(folder),
        ready=history.last("snapshot-saved", name="channels") is not None,
        waiting=yet(folder, "The statistics come with the first images.", "No image was made."),
        layers=layers,
        layer=found or next(iter(titles), ""),
    )


def _for_experts(folder: RunFolder, history: History) -> None:
    if not folder.recipe.synthesis_settings.get("steps"):
        st.caption("These images are taken as they are: there is no loss to watch.")
        return
    title = "For experts: the losses, and what the teacher sees in the images"
    draw = partial(_losses, folder, history)
    folded(title, draw, key="growth-more", icon=":material/show_chart:")


def _losses(folder: RunFolder, history: History) -> None:
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**Which part of the loss dominates?**", help=explain("losses"))
        live_chart(synthesis.losses(), folder, history, key="losses", cursor="line")
        if not is_live(folder):
            st.caption(loss_words(history))
    with right:
        st.markdown("**What does the teacher see in them?**", help=explain("teacher"))
        live_chart(synthesis.teacher_view(), folder, history, key="teacher", cursor="line")
        if not is_live(folder):
            st.caption(teacher_words(history))
