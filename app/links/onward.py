"""The way to a run that was just started: whoever started it comes to it, whatever else asks for the page.

Streamlit gives up a drawing of the page for whatever is asked for meanwhile: a page that looks again, another
press. It does so wherever the session is read or written, and so between the start of a run, which can take
seconds, and the change of page: the run would be at work, and the page would stay as it was.
"""

from dataclasses import dataclass, field
from typing import NoReturn

import streamlit as st

KEY = "onward"


@dataclass(slots=True, kw_only=True)
class Onward:
    """Where the session is on its way to; noted here, it outlasts the drawing that has noted it."""

    page: str = ""  # by its part of the address; empty: nowhere
    address: dict[str, str] = field(default_factory=dict)  # first what the page is of
    run: str = ""  # that was started


def onward() -> Onward:
    """The session's own. To be fetched before a run is started: fetching it is where a drawing can end."""
    if KEY not in st.session_state:
        st.session_state[KEY] = Onward()
    found: Onward = st.session_state[KEY]
    return found


def lead_to(way: Onward, run: str, **address: str) -> NoReturn:
    """Go to the run's page, with what else its address says."""
    way.page, way.address, way.run = "run", {"run": run} | address, run
    _go(way)


def lead_to_both(way: Onward, one: str, other: str) -> NoReturn:
    """Go to the page that compares a run with the other, which was started."""
    way.page, way.address, way.run = "runs", {"runs": f"{one},{other}"}, other
    _go(way)


def lead_on() -> None:
    """Go on where the session is on its way and its page was not drawn yet."""
    way = onward()
    if way.page:
        _go(way)


def is_there(page: str) -> bool:
    """Whether this page, by its part of the address, is the one that the way leads to; then it has ended."""
    way = onward()
    if not way.page or page != way.page:
        return False
    what, of = next(iter(way.address.items()))
    if st.query_params.get(what) != of:
        return False
    way.page = ""
    return True


def _go(way: Onward) -> NoReturn:
    st.session_state["run"] = way.run
    st.switch_page(f"views/{way.page}.py", query_params=way.address)
