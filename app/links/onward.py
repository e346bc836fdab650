"""The way to a run that was just started: whoever pressed Start comes to it, whatever else asks for the page.

Streamlit gives up a drawing of the page for whatever is asked for meanwhile: a page that looks again, another
press. It does so wherever the session is read or written, and so between the start of a run, which can take
seconds, and the change of page: the run would be at work, and the page would stay as it was.
"""

from dataclasses import dataclass, field
from typing import NoReturn

import streamlit as st

KEY, RUN_PAGE = "onward", "run"


@dataclass(slots=True, kw_only=True)
class Onward:
    """Where the session is on its way to; noted here, it outlasts the drawing that has noted it."""

    address: dict[str, str] = field(default_factory=dict)  # of the run's page; empty: nowhere


def onward() -> Onward:
    """The session's own. To be fetched before a run is started: fetching it is where a drawing can end."""
    if KEY not in st.session_state:
        st.session_state[KEY] = Onward()
    found: Onward = st.session_state[KEY]
    return found


def lead_to(way: Onward, **address: str) -> NoReturn:
    """Go to the run's page, with `run` and what else its address says."""
    way.address = address
    _go(way)


def lead_on() -> None:
    """Go on where the session is on its way and its page was not drawn yet."""
    way = onward()
    if way.address:
        _go(way)


def is_there(page: str) -> bool:
    """Whether this page, by its part of the address, is the one that the way leads to; then it has ended."""
    way = onward()
    wanted = way.address.get("run")
    if wanted is None or page != RUN_PAGE or st.query_params.get("run") != wanted:
        return False
    way.address = {}
    return True


def _go(way: Onward) -> NoReturn:
    st.session_state["run"] = way.address["run"]
    st.switch_page("views/run.py", query_params=way.address)
