"""What each part of the project's own recipe earns: a card a network, and all numbers as a table."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from app.charts.outcomes import ablation as charts
from app.components import mount
from app.panels.shared.csv_button import csv_button
from engine.core.percent import BAND
from engine.run.benches.ladder import CONTROL, LADDER, OWN, mean_of, percent, rows_of

Result = Mapping[str, Any]
RELEASED = next(iter(LADDER))


def heading(result: Result) -> None:
    """What was measured, when, with what."""
    bits, seeds = result["bits"], ", ".join(map(str, result["seeds"]))
    st.markdown(
        f"**W{bits['weights']}A{bits['activations']}** · seeds {seeds} · 128 images of GENIE-D · "
        f"{result['steps']} steps a block · each row changes one thing more than the row above it"
    )
    st.caption(f"Measured until {result['date']} UTC with torch {result['versions']['torch']}.")


def cards(result: Result) -> None:
    """A card for each network: what the whole recipe earns, beside it the dots of every rung."""
    for network in result["networks"]:
        with st.container(border=True):
            words, chart = st.columns([2, 3], gap="medium", vertical_alignment="center")
            with words:
                st.markdown(f"**{network['title']}**")
                st.markdown(_earned(network))
                st.caption(
                    f"{network['test_images']:,} test images; the band is the float network's, {BAND}. "
                    "Diamonds are means over the seeds."
                )
            with chart:
                mount.live_plot(
                    charts.earned(network, result["seeds"]), key=f"ablation-{network['title']}",
                    run=str(result["date"]), offset=0,
                )  # fmt: skip


def _earned(network: Mapping[str, Any]) -> str:
    means = {rung: mean_of(tops) for rung, tops in network["top1"].items()}
    own, released = means.get(OWN), means.get(RELEASED)
    said = f"Quantoscope **{percent(own)}**, {RELEASED} {percent(released)}"
    if own is not None and released is not None:
        said += f": {100 * (own - released):+.1f} points".replace("-", "−")
    if CONTROL not in charts.shown(network) and means.get(CONTROL) is not None:
        said += f". {CONTROL.capitalize()} (too far off to draw) {percent(means[CONTROL])}"
    return f"{said}."


def numbers(result: Result) -> None:
    """Every number."""
    head, *rows = rows_of(result)
    frame = pd.DataFrame(rows, columns=head)
    st.dataframe(frame, hide_index=True, height="content")
    csv_button(frame, "evidence", "ablation")


def command(result: Result) -> None:
    """What to type to measure it again."""
    st.code(result["command"], language="bash")
    st.caption(
        "Some hours of one core. CIFAR10 stands for a folder with the published checkpoints, the test images "
        "as pictures of one row each, and labels.json; the data is not part of this project."
    )
