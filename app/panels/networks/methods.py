"""Which methods a network allows, and why not the others."""

from typing import Any

import streamlit as st

from app.panels.url_menu import menu
from app.presets import USUAL

KINDS = {"synthesis": "Images from", "quantization": "Quantizer"}


def method_list(methods: list[dict[str, Any]]) -> None:
    """Two lists; what cannot work says why."""
    for column, (kind, title) in zip(st.columns(2, gap="medium"), KINDS.items(), strict=True):
        with column.container(border=True, height="stretch"):
            st.markdown(f"**{title}**")
            able = [str(one["title"]) for one in _of(methods, kind) if not one["reason"]]
            st.markdown(f":green[:material/check_circle:] {', '.join(able) or 'none'}")
            for method in _of(methods, kind):
                if method["reason"]:
                    st.markdown(f":gray[:material/block: {method['title']}]: {method['reason']}.")


def method_menu(methods: list[dict[str, Any]]) -> dict[str, Any]:
    """The methods to estimate and to start with: of those that can work, the project's own first."""
    chosen = {}
    for column, kind in zip(st.columns(2, gap="medium"), KINDS, strict=True):
        able = {one["name"]: one["title"] for one in _of(methods, kind) if not one["reason"]}
        ordered = {
            one: able[one] for one in sorted(able, key=lambda one: (one != USUAL[kind], one))
        }
        with column:
            chosen[kind] = menu(KINDS[kind], ordered, kind)
    return chosen


def _of(methods: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [method for method in methods if method["kind"] == kind]
