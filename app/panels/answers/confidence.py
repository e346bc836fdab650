"""Agreement by class, margins, and whether the networks are as sure as they are right."""

from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from app.charts.why import predictions as charts
from app.charts.why.predictions import sure_words
from app.components import mount
from app.panels.shared.csv_button import csv_button
from app.panels.shared.folded import folded
from app.text import explain
from engine.run.folders.folder import RunFolder

UNLABELLED = "The test images have no labels, so nobody can tell how often a sure answer is right."


def sureness(folder: RunFolder, found: dict[str, Any]) -> None:
    """Closed: the verdict, three charts side by side, and the changed cells of the confusion matrix."""
    title = "For experts: which classes change, how sure both are, and which confusions are new"
    folded(title, partial(_both, folder, found), key="sureness-more", icon=":material/grid_on:")


def _both(folder: RunFolder, found: dict[str, Any]) -> None:
    st.markdown(sure_words(found))
    _charts(folder, found)
    _tables(folder, found)


def _charts(folder: RunFolder, found: dict[str, Any]) -> None:
    shown: dict[str, Any] = {"run": folder.run_id, "offset": 0}
    first, second, third = st.columns(3, gap="medium")
    with first:
        st.markdown("**Which classes change most?**", help=explain("flips"))
        figure = charts.by_class(found["by_class"], found["classes"])
        mount.live_plot(figure, key=f"by-class-{folder.run_id}", **shown)
    with second:
        st.markdown("**How sure are both of their answers?**", help=explain("margins"))
        mount.live_plot(charts.margins(found["margins"]), key=f"margins-{folder.run_id}", **shown)
    with third:
        st.markdown("**Is it as sure as it is right?**", help=explain("reliability"))
        if found["reliability"] is None:
            st.caption(UNLABELLED)
        else:
            figure = charts.reliability(found["reliability"], found["ece"])
            mount.live_plot(figure, key=f"reliability-{folder.run_id}", **shown)


def _tables(folder: RunFolder, found: dict[str, Any]) -> None:
    frames = {"confusions": confusions(found), "classes": classes(found), "margins": margins(found)}
    if found["reliability"] is not None:
        frames["reliability"] = reliability(found)
    truth = "what they are" if found["truth"] == "labels" else "the float network's answer"
    st.markdown("**Which confusions are new?**", help=explain("flips"))
    st.caption(
        f"How many images more (or fewer) get an answer, quantized against float, by {truth}."
    )
    st.dataframe(frames["confusions"], hide_index=True, height=220)
    with st.container(horizontal=True):
        for name, frame in frames.items():
            csv_button(frame, folder.run_id, name, label=f"{name.capitalize()}, CSV")


def classes(found: dict[str, Any]) -> pd.DataFrame:
    """A row a class: how many answers the float network gives, how many stay, with the 95 % band."""
    names = [charts.class_name(one["class"], found["classes"]) for one in found["by_class"]]
    return pd.DataFrame(found["by_class"]).assign(name=names)


def margins(found: dict[str, Any]) -> pd.DataFrame:
    """A row a bin of the margin: how many images of each network lie in it."""
    count = len(found["margins"]["teacher"])
    return pd.DataFrame({"from": [k / count for k in range(count)], **found["margins"]})


def reliability(found: dict[str, Any]) -> pd.DataFrame:
    """A row a bin of confidence and network."""
    return pd.DataFrame(
        [
            {"network": who} | one
            for who in ("teacher", "student")
            for one in found["reliability"][who]
        ]
    )


def confusions(found: dict[str, Any]) -> pd.DataFrame:
    """A row for each cell of the confusion matrix that differs, the largest difference first."""
    names = found["classes"]
    return pd.DataFrame(
        [
            {"Of": charts.class_name(one["true"], names), "Answer": charts.class_name(one["answer"], names),
             "More images": one["difference"]}
            for one in found["confusion_difference"]
        ],
        columns=["Of", "Answer", "More images"],
    )  # fmt: skip
