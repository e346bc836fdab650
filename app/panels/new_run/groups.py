"""The groups of an expert's settings: each says beside its title what was changed in it."""

from contextlib import AbstractContextManager
from typing import Any

import streamlit as st

from app.panels.new_run.draft import PLAIN, Draft
from app.panels.shared.begins_as import begins_as

_MARK = (
    "margin-left: auto; padding-left: 1rem; white-space: nowrap; font-size: 0.875rem; "
    "color: var(--st-orange-text-color, #a15a00);"
)


def group(draft: Draft, name: str, title: str) -> AbstractContextManager[Any]:
    """A group of settings; open at first where anything was changed in it."""
    key = f"new-{draft.number}-group-{name}"
    is_open = begins_as(key, bool(changed_words(draft)[name]))
    return st.expander(title, is_open, key=key, on_change="rerun")


def mark_groups(draft: Draft) -> None:
    """Says behind the title of each group what was changed in it; after the settings were drawn.

    By style: a title that became another would close its group on whoever changes something in it.
    """
    rules = [
        f'.st-key-new-{draft.number}-group-{name} summary::after {{ content: "{words}"; {_MARK} }}'
        for name, words in changed_words(draft).items()
        if words
    ]
    st.html(f"<style>{' '.join(rules)}</style>")


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
