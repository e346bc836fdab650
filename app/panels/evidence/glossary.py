"""Every term of the pages, explained once: the same files are the help where a term is first met."""

import streamlit as st

from app.text import GLOSSARY, explain


def glossary() -> None:
    """A search, and the terms with their explanations, a line each."""
    st.header("What do the words mean?", anchor=False)
    wanted = st.text_input(
        "Search the words", key="glossary-search", icon=":material/search:", max_chars=100,
        placeholder="top-1, W2A4, gap, SQNR …", label_visibility="collapsed",
    )  # fmt: skip
    found = matching(wanted)
    if not found:
        st.info("No explanation has this word.")
    left, right = st.columns(2, gap="large")
    half = -(-len(found) // 2)
    for column, terms in ((left, found[:half]), (right, found[half:])):
        for term in terms:
            column.markdown(f"**{GLOSSARY[term]}.** {explain(term)}")


def matching(wanted: str) -> list[str]:
    """The terms whose name or explanation has all of the words, in the order of the glossary."""
    words = wanted.lower().split()
    return [
        term
        for term, title in GLOSSARY.items()
        if all(word in f"{title} {explain(term)}".lower() for word in words)
    ]
