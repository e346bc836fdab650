"""What the words mean: each is explained once, here and where it is first met."""

import streamlit as st

from app.text import words

COLUMNS = 2


def glossary() -> None:
    """The words in the order of the alphabet, each with its explanation."""
    st.header("What do the words mean?")
    found = words()
    for column, part in zip(st.columns(COLUMNS, gap="large"), _halves(found), strict=True):
        with column:
            for word, text in part:
                st.markdown(f"**{word}**  \n{text}")


def _halves(found: dict[str, str]) -> list[list[tuple[str, str]]]:
    every = sorted(found.items(), key=lambda one: one[0].lower())
    middle = -(-len(every) // COLUMNS)
    return [every[:middle], every[middle:]]
