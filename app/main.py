"""Every page begins here: the navigation on top, then the page that the address names."""

from pathlib import Path

import streamlit as st

PAGES = [
    st.Page(
        "views/start.py",
        title="Start",
        icon=":material/play_circle:",
        default=True,
        help="A recorded run plays; start one of your own with a click.",
    ),
    st.Page(
        "views/network.py",
        title="Network",
        icon=":material/account_tree:",
        help="What a network is made of, what may go wrong, what can work on it.",
    ),
    st.Page(
        "views/lab.py",
        title="Live lab",
        icon=":material/science:",
        help="Watch images grow out of BatchNorm statistics.",
    ),
    st.Page(
        "views/quantize.py",
        title="Quantize live",
        icon=":material/equalizer:",
        help="Watch every layer lose its bits, and what it costs.",
    ),
    st.Page(
        "views/compare.py",
        title="Compare images",
        icon=":material/compare:",
        help="Two runs or more: films, maps and numbers side by side.",
    ),
    st.Page(
        "views/effects.py",
        title="Effects",
        icon=":material/fact_check:",
        help="Does each method do what its paper claims? Measured, seed by seed.",
    ),
    st.Page(
        "views/bring.py",
        title="Bring your own",
        icon=":material/upload_file:",
        help="A checkpoint of yours, in every menu.",
    ),
    st.Page(
        "views/runs.py",
        title="Runs",
        icon=":material/list:",
        help="Everything that ran: open, resume, delete.",
    ),
]

HERE = Path(__file__).parent
st.set_page_config(page_title="Quantoscope", page_icon=str(HERE / "icon.png"), layout="wide")
st.logo(str(HERE / "logo.svg"), size="large")
st.navigation(PAGES, position="top").run()
