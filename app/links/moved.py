"""Addresses of earlier versions: each leads to the page that shows the same now."""

from collections.abc import Callable

import streamlit as st

MOVED = {  # the old address: the page, and what its address says besides
    "lab": ("views/run.py", {"tab": "images"}),
    "quantize": ("views/run.py", {"tab": "layers"}),
    "network": ("views/networks.py", {}),
    "effects": ("views/evidence.py", {}),
    "compare": ("views/runs.py", {}),
    "bring": ("views/networks.py", {"own": "1"}),
}


def moved_pages() -> list[st.Page]:
    """A page for each old address, in no menu; it leads on with all that its address named."""
    return [
        st.Page(_leading_to(page, more), title=page, url_path=old, visibility="hidden")
        for old, (page, more) in MOVED.items()
    ]


def _leading_to(page: str, more: dict[str, str]) -> Callable[[], None]:
    def lead_on() -> None:
        st.switch_page(page, query_params=more | st.query_params.to_dict())

    return lead_on
