"""Views that a run cannot show: what they are, why, and what to do, in one sentence for each reason."""

from collections.abc import Mapping

import streamlit as st


def not_here(reasons: Mapping[str, str]) -> None:
    """One sentence for all views that share a reason: by a view's question, why it is missing, or nothing."""
    for words in missing_words(reasons):
        st.caption(words)


def missing_words(reasons: Mapping[str, str]) -> list[str]:
    """The sentences, in the order in which the views would stand."""
    together: dict[str, list[str]] = {}
    for question, reason in reasons.items():
        if reason:
            together.setdefault(reason, []).append(f"*{question}*")
    return [
        f"{why} Not here for this reason: {', '.join(asked)}" for why, asked in together.items()
    ]
