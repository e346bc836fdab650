"""Which image sets a layer's range? The images that reach furthest, and what the layer gains without each."""

from functools import partial
from typing import Any

import streamlit as st

from app.engine_calls.actions import try_it
from app.links.onward import lead_to, onward
from app.panels.shared.ask_why import closed_question, why_not
from app.panels.shared.csv_button import csv_button
from app.panels.shared.press import button
from app.panels.shared.url_menu import menu
from app.text import explain
from engine.run.folders.folder import RunFolder

TITLE = "Which image sets a layer's range?"
OF_LAYER = (
    "range-layer"  # in the address: a layer here is one that rounds its input, not a BatchNorm
)
MATTERS_DB = 1.0  # a layer that gains so much without one image hangs on it


def ranges_section(folder: RunFolder) -> bool:
    """The question, closed until it is opened; whether an answer is awaited."""
    layers = len((folder.result() or {}).get("layers", []))
    begins = OF_LAYER in st.query_params
    return closed_question(
        folder, "ranges", TITLE, layers, partial(_found, folder), expanded=begins
    )


def _found(folder: RunFolder, found: dict[str, Any]) -> None:
    ranges = [one for one in found.get("ranges", []) if one["images"]]
    if not ranges:
        st.caption("No layer of this run has an even grid whose range images could set.")
        return
    st.markdown(verdict(ranges), help=explain("ranges"))
    first = max(ranges, key=gain)["layer"]
    titles = {one["layer"]: one["layer"] for one in ranges}
    titles[first] = f"{first} (gains most without one)"
    chosen = menu("Layer", titles, OF_LAYER, asked=st.query_params.get(OF_LAYER) or first)
    layer = next((one for one in ranges if one["layer"] == chosen), ranges[0])
    for column, one in zip(
        st.columns(len(layer["images"]), gap="medium"), layer["images"], strict=True
    ):
        with column.container(border=True):
            _image(folder, found, layer, one)
    _table(folder, ranges)


def _image(
    folder: RunFolder, found: dict[str, Any], layer: dict[str, Any], one: dict[str, Any]
) -> None:
    place = one["image"]
    picture = found.get("pictures", {}).get(str(place))
    if picture:
        st.image(picture, caption=f"Image {place}")
    more = one["sqnr_without_db"] - one["sqnr_db"]
    st.markdown(
        f"It reaches **{one['reach']:.3g}**. Without it the step is {one['step']:.3g} in place of "
        f"{layer['step']:.3g}, and the others' SQNR **{more:+.1f} dB**."
    )
    if not why_not(folder) and button(
        "Quantize without it", icon=":material/play_arrow:", key=f"without-{layer['layer']}-{place}",
        help="Runs the recipe with this image left out; none is made again.",
    ):  # fmt: skip
        finding = without(layer["layer"], place, more)
        way = onward()
        run = try_it(folder, finding)
        if run is not None:
            lead_to(way, run=run)


def without(layer: str, place: int, gain_db: float) -> dict[str, Any]:
    """What the doctor would say of one image: leave it out."""
    change = {
        "words": f"leave image {place} out", "weight_bits": {}, "activation_bits": {}, "quantization": "",
        "quantization_settings": {}, "synthesis": "", "synthesis_settings": {}, "model_settings": {},
        "images": 0, "leave_out": [place],
    }  # fmt: skip
    return {
        "rule": "image-range", "layer": layer, "change": change, "predicted_gain": gain_db, "band": None,
        "unit": "dB of the layer",
    }  # fmt: skip


def gain(layer: dict[str, Any]) -> float:
    """The most that the layer gains without one of its images, in dB."""
    return max(float(one["sqnr_without_db"] - one["sqnr_db"]) for one in layer["images"])


def verdict(ranges: list[dict[str, Any]]) -> str:
    """Whether any layer hangs on one image."""
    worst = max(ranges, key=gain)
    best = max(worst["images"], key=lambda one: one["sqnr_without_db"] - one["sqnr_db"])
    hang = sum(gain(one) >= MATTERS_DB for one in ranges)
    if not hang:
        return (
            f"**No layer hangs on one image**: left out, none moves a layer's SQNR by more than "
            f"{max(0.0, gain(worst)):.1f} dB."
        )
    others = f" So do {hang - 1} other layers on theirs." if hang > 1 else ""
    return (
        f"**`{worst['layer']}` hangs on image {best['image']}**: without it the layer's SQNR on the others "
        f"rises by {gain(worst):.1f} dB.{others}"
    )


def _table(folder: RunFolder, ranges: list[dict[str, Any]]) -> None:
    rows = [
        {
            "Layer": layer["layer"], "Image": one["image"], "Reaches": one["reach"],
            "Step": layer["step"], "Step without": one["step"],
            "SQNR, dB": one["sqnr_db"], "SQNR without, dB": one["sqnr_without_db"],
        }
        for layer in ranges
        for one in layer["images"]
    ]  # fmt: skip
    csv_button(rows, folder.run_id, "ranges", label="All layers, CSV")
