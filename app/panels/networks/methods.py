"""Which methods cannot work on a network, and why; those that can, in a closed expander."""

from typing import Any

import streamlit as st

from app.panels.shared.url_menu import menu
from app.presets import SOURCES, USUAL
from app.wording.engine_words import page_text
from app.wording.words import plain

KINDS = {"synthesis": "Images from", "quantization": "Quantizer"}

Methods = list[dict[str, Any]]


def method_list(methods: Methods) -> None:
    """What cannot work, with the reason; what can, behind a click."""
    able = {kind: [one for one in _of(methods, kind) if not one["reason"]] for kind in KINDS}
    refused = [one for one in methods if one["reason"]]
    if not refused:
        st.success("Every method can work on it.", icon=":material/check_circle:")
    for reason, titles in _by_reason(refused).items():
        told = reason.replace("set model.calibration to", "give a new run its calibration images,")
        st.markdown(
            f":material/block: **{plain(', '.join(titles))}** cannot work: {page_text(told)}."
        )
    count = sum(map(len, able.values()))
    with st.expander(f"The {count} methods that can work", icon=":material/check_circle:"):
        for column, (kind, title) in zip(st.columns(2, gap="medium"), KINDS.items(), strict=True):
            names = ", ".join(str(one["title"]) for one in able[kind]) or "none"
            column.markdown(f"**{title}:** {plain(names)}")


def method_menu(methods: Methods) -> dict[str, Any]:
    """The methods to estimate and to start with: of those that can work, the usual ones first."""
    chosen = {}
    for column, kind in zip(st.columns(2, gap="medium"), KINDS, strict=True):
        able = {one["name"]: one["title"] for one in _of(methods, kind) if not one["reason"]}
        usual = SOURCES if kind == "synthesis" else (USUAL[kind],)
        first = {one: able[one] for one in usual if one in able}
        ordered = first | {one: able[one] for one in sorted(able)}
        with column:
            chosen[kind] = menu(KINDS[kind], ordered, kind)
    return chosen


def _by_reason(refused: Methods) -> dict[str, list[str]]:
    """The titles of those that are refused for the same reason, together."""
    found: dict[str, list[str]] = {}
    for one in refused:
        found.setdefault(str(one["reason"]), []).append(str(one["title"]))
    return found


def _of(methods: Methods, kind: str) -> Methods:
    return [method for method in methods if method["kind"] == kind]
