"""The menus of networks and methods: what each does, its paper, and why one cannot work."""

from typing import Any

import streamlit as st

from app.panels.new_run.draft import KINDS, Draft
from app.panels.shared.begins_as import begins_as
from app.presets import USUAL
from app.wording.words import plain
from engine.run.recipes.recipe import find, refusal


def choice(catalog: dict[str, Any], kind: str, label: str, draft: Draft) -> str:
    """A menu of the catalog's entries; what cannot work on the network stands last, and says so."""
    field = KINDS[kind]
    entries = {one["name"]: one for one in catalog[kind] if one.get("available", True)}
    refusals = {name: _refusal(catalog, kind, name, draft) for name in entries}
    names = sorted(  # what can work, the usual choice before all, then the small ones
        entries,
        key=lambda one: (
            bool(refusals[one]), one != USUAL[field], entries[one].get("parameters", 0)
        ),
    )  # fmt: skip
    key = f"new-{draft.number}-{field}"
    first = begins_as(key, draft.wanted[field])
    name = str(
        st.selectbox(
            label,
            names,
            index=names.index(first) if first in names else 0,
            format_func=lambda one: (
                entries[one]["title"] + (" (not for this network)" if refusals[one] else "")
            ),
            key=key,
        )
    )
    entry = entries[name]
    st.caption(_about(entry))
    return name


def refused(catalog: dict[str, Any], kind: str, draft: Draft) -> str:
    """Why the chosen method cannot work on the chosen network; empty where it can."""
    name = draft.wanted[KINDS[kind]]
    reason = _refusal(catalog, kind, name, draft)
    return f"{find(catalog, kind, name)['title']} cannot work here: {reason}." if reason else ""


def _about(entry: dict[str, Any]) -> str:
    parts = [plain(entry.get("summary", ""))]
    if not entry.get("exportable", True):
        parts.append("Kernels for integers cannot compute what it learns: it cannot be exported.")
    if entry.get("url"):
        parts.append(f"[{plain(entry['paper'])}]({entry['url']})")
    return " ".join(parts)


def _refusal(catalog: dict[str, Any], kind: str, method: str, draft: Draft) -> str | None:
    """Why the method cannot work on the network, with the form and the folder chosen below."""
    if kind == "models":
        return None
    model = find(catalog, "models", draft.wanted["model"])
    settings = {"calibration": "", "form": ""} | draft.changed("models")
    return refusal(catalog, kind, method, model, settings)
