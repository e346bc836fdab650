"""The slider that answers at once: what fewer bits do to a network, measured before."""

import base64
from typing import Any

import streamlit as st

from app.charts.layers.levels import error_share
from app.charts.style import FLOAT, GRID, OVER, QUANTIZED, SERIES, WATCH
from app.components import mount
from app.run_files.run_folders import shipped
from engine.run.benches.start.shipped import SLIDER

FIRST = 4  # bits that it stands at until it is moved: the answers there hardly differ
GREEN, MAUVE = SERIES[2], SERIES[3]
ROUNDINGS = {
    "nearest": {"title": "Nearest rounding", "colour": MAUVE},
    "learned": {"title": "Learned rounding (Quantoscope)", "colour": QUANTIZED},
}
COLOURS = {"float": FLOAT, "grid": GRID, "wrong": OVER, "right": GREEN, "other": WATCH}
HOW = (
    "Each weight is stored as one of 2 to the power of bits values; activations keep {activation_bits} bits, "
    "the first and last layer 8. Every stop is a whole run, measured on {date}; whiskers: 95\u00a0% bands. "
    "Calibrated with images made from the network's own statistics, and with none of its data."
)


def bits_slider() -> None:
    """The slider with its walls of answers; nothing where nothing is shipped."""
    found = shipped(SLIDER)
    if found is None:
        return
    result, picture = found
    st.subheader("Drag: what do fewer bits do?", anchor=False)
    mount.bits(
        key="bits",
        date=result["date"],
        networks=[with_errors(network) for network in result["networks"]],
        layout=result["wall"],
        sheet=data_address(picture),
        roundings=ROUNDINGS,
        colours=COLOURS,
        first=FIRST,
        how=HOW.format(**result),
    )


def with_errors(network: dict[str, Any]) -> dict[str, Any]:
    """The network with the error of each stop's weakest layer, as a share of the size of its signal."""
    roundings = {
        name: [
            stop | {"weakest": stop["weakest"] | {"error": error_share(stop["weakest"]["sqnr_db"])}}
            for stop in stops
        ]
        for name, stops in network["roundings"].items()
    }
    return network | {"roundings": roundings}


def data_address(picture: bytes) -> str:
    """The picture as an address that needs no request."""
    return f"data:image/webp;base64,{base64.b64encode(picture).decode()}"
