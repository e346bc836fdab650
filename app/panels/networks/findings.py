"""What was found of a network: cards for what needs doing, a list for what is good to know."""

from typing import Any

import streamlit as st

from app.wording.engine_words import page_text

COLOURS = {"problem": "red", "warning": "orange", "note": "blue"}
ICONS = {"problem": ":material/error:", "warning": ":material/warning:", "note": ":material/info:"}
A_ROW = 2


def findings(found: list[dict[str, Any]]) -> None:
    """Problems and warnings as cards, then the notes; a sentence where there is nothing to mend."""
    urgent = [one for one in found if one["level"] != "note"]
    notes = [one for one in found if one["level"] == "note"]
    if not urgent:
        st.success("Nothing to mend was found.", icon=":material/check_circle:")
    for at in range(0, len(urgent), A_ROW):
        row = urgent[at : at + A_ROW]
        for column, finding in zip(st.columns(A_ROW if len(urgent) > 1 else 1), row, strict=False):
            with column.container(border=True, height="stretch"):
                _card(finding)
    if notes:
        with st.expander(f"Good to know: {page_text(_titles(notes))}", icon=":material/info:"):
            for finding in notes:
                st.markdown(
                    f"**{page_text(finding['title'])}.** {page_text(_sentence(finding['message']))}"
                )
                st.caption(page_text(finding["advice"]))


def _card(finding: dict[str, Any]) -> None:
    colour, icon = COLOURS[finding["level"]], ICONS[finding["level"]]
    badge = f":{colour}-badge[{icon} {finding['level']}]"
    st.markdown(f"{badge} **{page_text(finding['title'])}**")
    st.markdown(page_text(_sentence(finding["message"])))
    st.markdown(f":material/build: {page_text(finding['advice'])}")
    if finding["layers"] and len(finding["layers"]) > 1:
        with st.popover(f"{len(finding['layers'])} layers"):
            st.code("\n".join(finding["layers"]), language=None)


def _sentence(text: str) -> str:
    return f"{text}." if text and text[-1] not in ".!?" else text


def _titles(notes: list[dict[str, Any]]) -> str:
    titles = [str(note["title"]) for note in notes]
    first, *rest = titles
    return "; ".join([first, *(title[0].lower() + title[1:] for title in rest)])
