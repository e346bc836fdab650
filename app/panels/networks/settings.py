"""How the network would be fed and quantized; all of it is in the address."""

from typing import Any

import streamlit as st

from app.panels.new_run.value_words import EDGES
from app.panels.shared.url_menu import menu

FIELDS = ("wbits", "abits", "rule", "weights", "data", "mean", "std")


def network_settings(name: str) -> dict[str, Any]:
    """Fields of a recipe: the network, bits, and what the user says of weights, images, normalisation."""
    given = any(st.query_params.get(field) for field in FIELDS)
    with st.expander(
        "Its bits, and weights or images of your own", icon=":material/tune:", expanded=given
    ):
        left, middle, rule = st.columns([2, 2, 4], gap="medium")
        weight_bits = left.slider("Bits a weight", 2, 8, 4, key="wbits", bind="query-params")
        activation_bits = middle.slider(
            "Bits an activation", 2, 8, 4, key="abits", bind="query-params"
        )
        with rule:
            rules = EDGES
            edge_rule = menu("First and last layers at 8 bits", rules, "rule")
        own = _own()
    bits = {"weight_bits": weight_bits, "activation_bits": activation_bits, "edge_rule": edge_rule}
    return {"model": name, **bits, **own}


def _own() -> dict[str, Any]:
    """Weights, images and normalisation of the user's own."""
    left, right = st.columns(2, gap="medium")
    weights = left.text_input(
        "Checkpoint file", key="weights", bind="query-params",
        placeholder="the network's own weights", help="A path on the machine that runs this.",
    )  # fmt: skip
    data = right.text_input(
        "Folder of real images", key="data", bind="query-params",
        placeholder="the network's own test images, where it has some",
        help="With them, wrong mean and std are found for sure. A path on the machine that runs this.",
    )  # fmt: skip
    mean = left.text_input(
        "Pixel mean", key="mean", bind="query-params", placeholder="as the network declares",
        help="One number a colour, of pixels in [0, 1], for example 0.485, 0.456, 0.406",
    )  # fmt: skip
    std = right.text_input(
        "Pixel standard deviation", key="std", bind="query-params",
        placeholder="as the network declares", help="One number a colour",
    )  # fmt: skip
    settings = {name: text for name, text in (("mean", mean), ("std", std)) if text.strip()}
    return {"weights": weights.strip(), "data": data.strip(), "model_settings": settings}
