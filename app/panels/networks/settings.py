"""Which network, and how it would be fed and quantized; all of it is in the address."""

from typing import Any

import streamlit as st

from app.panels.url_menu import menu
from app.words import plain
from engine.run.recipes.recipe import EDGE_RULES


def network_choice(catalog: dict[str, Any]) -> dict[str, Any] | None:
    """Fields of a recipe; None where the address names a network that is not here."""
    entries = {one["name"]: one for one in catalog["models"] if one.get("available", True)}
    asked = st.query_params.get("model")
    if asked and asked not in entries:
        missing = next((one for one in catalog["models"] if one["name"] == asked), None)
        reason = f": {missing['reason']}" if missing else ""
        st.error(f"There is no network named {plain(repr(asked))} here{reason}. Choose another.")
    left, middle, right, rule = st.columns([4, 2, 2, 4], gap="medium")
    names = sorted(entries, key=lambda one: entries[one].get("parameters", 0))
    if not names:
        return None
    with left:
        name = menu("Network", {one: str(entries[one]["title"]) for one in names}, "model")
    weight_bits = middle.slider("Bits a weight", 2, 8, 4, key="wbits", bind="query-params")
    activation_bits = right.slider("Bits an activation", 2, 8, 4, key="abits", bind="query-params")
    with rule:
        rules = {one: f"{one}: {text}" for one, text in EDGE_RULES.items()}
        edge_rule = menu("First and last layers at 8 bits", rules, "rule")
    bits = {"weight_bits": weight_bits, "activation_bits": activation_bits, "edge_rule": edge_rule}
    return {"model": name, **bits, **_own()}


def _own() -> dict[str, Any]:
    """Weights, images and normalisation of the user's own."""
    given = [st.query_params.get(name) for name in ("weights", "data", "mean", "std")]
    with st.expander("Other weights, real images, another mean and std", expanded=any(given)):
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
