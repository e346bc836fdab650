"""The groups of an expert's settings: each says in its title what was changed in it."""

from contextlib import AbstractContextManager
from typing import Any

import streamlit as st

from app.panels.new_run.draft import PLAIN, Draft


def group(draft: Draft, name: str, title: str) -> AbstractContextManager[Any]:
    """A group of settings, whose title says what was changed in it; open at first where anything was."""
    mark, key = changed_words(draft)[name], f"new-{draft.number}-group-{name}"
    st.session_state.setdefault(key, bool(mark))
    told = f"{title} · :orange[:material/tune: {mark}]" if mark else title
    return st.expander(told, key=key, on_change="rerun")


def changed_words(draft: Draft) -> dict[str, str]:
    """For each group of settings how many are not the effort's; "" where none."""
    wanted = draft.wanted
    beside = {
        "synthesis": (wanted["images"] is not None) + (wanted["seed"] != PLAIN["seed"]),
        "quantization": wanted["edge_rule"] != PLAIN["edge_rule"],
        "models": bool(wanted["weights"]) + bool(wanted["data"]),
    }
    counts = {kind: len(draft.changed(kind)) + more for kind, more in beside.items()}
    layers = len({path for named in draft.bits.values() for path in named})
    return {kind: f"{count} changed" if count else "" for kind, count in counts.items()} | {
        "bits": f"{layers} layer{'s' if layers > 1 else ''} changed" if layers else ""
    }
