"""The images beside the map of the BatchNorm gap: the heart of the lab and of the start page."""

import json
from typing import Any

import streamlit as st

from app.charts.bindings import extended
from app.charts.images import synthesis
from app.charts.style import LiveFigure
from app.components import mount
from app.run_files.history import History
from app.run_files.run_folders import is_live, state_of
from engine.run.folders.folder import ACTIVE, RunFolder

MOST_DRAWN = 32  # charts of runs that are over, kept: of the runs looked at last
ALT = "The images that the student is calibrated with."


def film(folder: RunFolder, history: History, **more: Any) -> None:
    """The film of the images; more: `step`, `layer`, `url`, `autoplay`, `loop`."""
    frames = [{"step": e["step"], "file": e["file"], **e["values"]} for e in history.frames()]
    mount.film(
        key=f"film-{folder.run_id}",
        run=folder.run_id,
        offset=history.offset,
        frames=frames,
        live=is_live(folder),
        alt=ALT,
        waiting=yet(folder, "The first images are on their way…", "No image was made."),
        **more,
    )


def gap_map(
    folder: RunFolder,
    history: History,
    *,
    height: int = 0,
    cursor: str = "line",
    pick: bool | str = True,
) -> Any:
    """The heat map; a click looks at that layer and that step, and returns them where `pick` is "cell"."""
    total = next((e["total_steps"] for e in history.of("stage-started", stage="synthesis")), 0)
    layers = history.started["bn_layers"]
    chart = synthesis.gap_map(layers, total_steps=total, height=height)
    picked = live_chart(chart, folder, history, key="gap", cursor=cursor, pick=pick)
    words = measure_words(history)
    if words:
        st.caption(words)
    return picked


def measure_words(history: History) -> str:
    """That a run of an older version measured its gaps otherwise; empty where it did not."""
    started = list(history.of("stage-started", stage="synthesis"))
    if not started or all(event.get("gap_by") == "channel" for event in started):
        return ""
    return (
        "Measured by an older version: a layer's gap is in units of its mean variance, which its widest "
        "channels make; now each channel counts in its own."
    )


def yet(folder: RunFolder, coming: str, never: str) -> str:
    """What stands where nothing is: that it comes or, once the run has ended, that it did not."""
    return coming if state_of(folder) in ACTIVE else never


@st.cache_resource(max_entries=MOST_DRAWN, show_spinner=False)
def _at_rest(_chart: LiveFigure, _history: History, told: tuple[str, ...]) -> LiveFigure:  # noqa: ARG001
    """The chart of a run that is over, whose events are drawn into it once for all pages."""
    return extended(_chart, _history.events)


def live_chart(
    chart: LiveFigure, folder: RunFolder, history: History, *, key: str, **more: Any
) -> Any:
    """The chart with the events so far, which goes on by itself while the run does.

    Returns what was just clicked on, where `pick` is "category" or "cell".
    """
    if is_live(folder):
        chart = extended(chart, history.events)
    else:
        last = (history.offset, history.events[-1:])
        told = (str(folder.path), json.dumps([last, chart.figure, chart.bindings, chart.alt]))
        chart = _at_rest(chart, history, told)
    return mount.live_plot(
        chart,
        key=f"{key}-{folder.run_id}",
        run=folder.run_id,
        offset=history.offset,
        live=is_live(folder),
        waiting=yet(folder, "nothing yet", "nothing was recorded"),
        **more,
    )
