"""Cards that start a run with one click."""

from typing import Any

import streamlit as st

from app.actions import start_run
from app.presets import CARDS, Preset

A_ROW = 5


def preset_cards(catalog: dict[str, Any]) -> None:
    """A card for every preset whose network and methods this installation has."""
    cards = [card for card in CARDS if _known(catalog, card)]
    for at in range(0, len(cards), A_ROW):
        row = cards[at : at + A_ROW]
        for column, card in zip(st.columns(len(row)), row, strict=True):
            with column.container(border=True, height="stretch", vertical_alignment="distribute"):
                _card(catalog, card)


def _card(catalog: dict[str, Any], card: Preset) -> None:
    with st.container():
        st.markdown(f"**{card.title}**")
        st.caption(card.text)
    model = _entry(catalog, "models", card.wanted["model"])
    unavailable = "" if model["available"] else str(model["reason"])
    if st.button(
        "Start",
        key=f"card-{card.name}",
        type="primary",
        width="stretch",
        icon=":material/play_arrow:",
        disabled=bool(unavailable),
        help=unavailable or None,
    ):
        start_run(card.wanted)


def _known(catalog: dict[str, Any], card: Preset) -> bool:
    kinds = {"models": "model", "synthesis": "synthesis", "quantization": "quantization"}
    return all(
        any(entry["name"] == card.wanted[field] for entry in catalog[kind])
        for kind, field in kinds.items()
    )


def _entry(catalog: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    return next(entry for entry in catalog[kind] if entry["name"] == name)
