"""Which answers change? The changed images, and one of them through the layers."""

from typing import Any

import pandas as pd
import streamlit as st

from app.charts.why import growth as growth_charts
from app.charts.why.predictions import class_name
from app.components import mount
from app.links.address import count
from app.panels.answers.confidence import sureness
from app.panels.new_run.more_bits import more_bits_button
from app.panels.shared.ask_why import MOST_BITS, ask_for, known, why_unanswered
from app.panels.shared.csv_button import csv_button
from app.panels.shared.measured import kind_of
from app.text import explain
from app.wording.engine_words import page_text
from app.wording.words import plain
from engine.core.percent import BAND, percent
from engine.run.folders.folder import RunFolder

QUESTION = "predictions"
TITLE = "Which answers change?"
NO_CLASSES = (
    "This network gives no classes, so no answer can flip: what counts is how near its outputs are."
)
ROW_PX, TABLE_PX = 44, 310


def flips_section(folder: RunFolder, layers: int) -> None:
    """The question, and what is known of it; nothing where it cannot be asked: the tab says why."""
    result = folder.result()
    if result is None or why_no_flips(folder):
        return
    st.subheader(TITLE, help=explain("flips"))
    if kind_of(result) != "logits":
        st.caption(NO_CLASSES)
        return
    found = known(folder, QUESTION)
    if found is None:
        ask_for(folder, QUESTION, layers)
    elif "growth" not in found:
        st.caption("This was found by an older version, without pictures.")
    else:
        _found(folder, found)


def why_no_flips(folder: RunFolder) -> str:
    """Why the answers were not and cannot be looked at; empty where they can, or are no classes."""
    result = folder.result()
    has_classes = result is not None and kind_of(result) == "logits"
    return why_unanswered(folder, QUESTION) if has_classes else ""


def _found(folder: RunFolder, found: dict[str, Any]) -> None:
    low, high = found["agreement_band"]
    st.markdown(
        f"**{page_text(found['sentence'])}** Agreement {percent(found['agreement'], 2)} "
        f"({percent(low, 2)} to {percent(high, 2)}, {BAND}), on {plain(found['image_set'])}."
    )
    for note in found["notes"]:
        st.caption(page_text(note))
    if found["flipped"]:
        left, right = st.columns(2, gap="medium")
        with left:
            _table(folder, found)
        with right:
            _one_image(folder, found)
    sureness(folder, found)


def _table(folder: RunFolder, found: dict[str, Any]) -> None:
    shown = [one for one in found["flipped"] if str(one["image"]) in found["pictures"]]
    frame = table(found, shown or found["flipped"][:100])
    key = f"flips-{folder.run_id}"

    def chosen() -> None:
        rows = st.session_state[key]["selection"]["rows"]
        if rows and rows[0] < len(frame):
            st.query_params["image"] = str(frame["Image"].iloc[rows[0]])
        else:
            st.query_params.pop("image", None)

    column = st.column_config
    st.dataframe(
        frame, key=key, hide_index=True, on_select=chosen, selection_mode="single-row", row_height=ROW_PX,
        height=TABLE_PX, alt=f"{len(frame)} test images whose answer changes, with both answers and margins.",
        column_config={
            "Picture": column.ImageColumn("", width=60, pinned=True),
            "Image": column.NumberColumn("No.", width="small", help="Its place among the test images."),
            "Float margin": column.NumberColumn("Margin", format="%.2f", width="small",
                                                help="How sure the float network was, from 0 to 1."),
            "Quantized margin": column.NumberColumn("Margin", format="%.2f", width="small",
                                                    help="How sure the student is, from 0 to 1."),
        },
    )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="center"):
        every = table(found, found["flipped"]).drop(columns="Picture")
        csv_button(every, folder.run_id, "flips", words="All changed images, without pictures.")
        left_out = len(found["flipped"]) - len(frame)
        verb = "is" if left_out == 1 else "are"
        rest = f" {left_out:,} more {verb} in the CSV." if left_out else ""
        st.caption(f"Those of which the float network was surest come first.{rest}")


def table(found: dict[str, Any], rows: list[dict[str, Any]]) -> pd.DataFrame:
    """A row a changed image: picture, place, both answers, what it is (where known), both margins."""
    names = found["classes"]
    told = []
    for one in rows:
        label = {"Is": class_name(one["label"], names)} if "label" in one else {}
        told.append(
            {"Picture": found["pictures"].get(str(one["image"])), "Image": one["image"]}
            | label
            | {"Float": class_name(one["teacher"], names), "Float margin": one["margin_teacher"]}
            | {
                "Quantized": class_name(one["student"], names),
                "Quantized margin": one["margin_student"],
            }
        )
    return pd.DataFrame(told)


def chosen_image(found: dict[str, Any]) -> int | None:
    """The image of the address if it was followed through the layers, else the first; None without any."""
    followed = [int(place) for place in found["growth"]["images"]]
    asked = count(st.query_params.get("image"))
    return asked if asked in followed else next(iter(followed), None)


def _one_image(folder: RunFolder, found: dict[str, Any]) -> None:
    """Where its error grows, and the way to the layer where it does."""
    image = chosen_image(found)
    if image is None:
        st.caption("No changed image was followed through the layers.")
        return
    shares = found["growth"]["images"][str(image)]
    asked = count(st.query_params.get("image"))
    st.markdown(f"**Where does the error of image {image:,} grow?**", help=explain("growth"))
    if asked is not None and asked != image and asked in [one["image"] for one in found["flipped"]]:
        st.caption(
            f"Image {asked:,} was not followed: only the first {len(found['growth']['images'])} were."
        )
    at = growth_charts.parting(found["growth"], shares)
    figure = growth_charts.growth(found["growth"], shares, at)
    place = f"growth-{folder.run_id}"
    mount.live_plot(figure, key=place, name=f"growth-{image}", run=folder.run_id, offset=0)
    st.markdown(growth_charts.growth_words(found["growth"], shares))
    with st.container(horizontal=True, vertical_alignment="center"):
        if at:
            _mend(folder, at)
        words = "The error of this image at every layer, beside the average image's."
        csv_button(
            growth_table(found["growth"], shares), folder.run_id, f"growth-{image}", words=words
        )


def _mend(folder: RunFolder, at: str) -> None:
    """The way to the layer, and a run with more bits there."""
    st.page_link(
        "views/run.py", label=f"What is wrong with {at}?", icon=":material/layers:",
        query_params={"run": folder.run_id, "tab": "layers", "layer": at},
    )  # fmt: skip
    more_bits_button(folder, at, f"Try it at {MOST_BITS} bits", key="growth-try")


def growth_table(found: dict[str, Any], shares: list[float]) -> pd.DataFrame:
    """A row a layer: this image's error, the average image's, and the ends of what is usual."""
    return pd.DataFrame({"layer": found["layers"], "this image": shares, **found["usual"]})
