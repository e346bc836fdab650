"""Every page begins here: the navigation on top, then the page that the address names."""

import sys
from pathlib import Path

import streamlit as st

from app.links.moved import moved_pages
from app.links.onward import is_there, lead_on
from app.panels.new_run.dialog import close_dialog, new_run_button, open_dialog
from app.server.heap import keep_out

PAGES = [
    st.Page(
        "views/start.py",
        title="Start",
        icon=":material/play_circle:",
        default=True,
        help="A recorded run plays; start one of your own with a click.",
    ),
    st.Page(
        "views/networks.py",
        title="Networks",
        icon=":material/account_tree:",
        help="What you have: what each network is made of, what may go wrong, what can work on it.",
    ),
    st.Page(
        "views/run.py",
        title="Run",
        icon=":material/science:",
        help="One run: its images, its layers, its answers.",
    ),
    st.Page(
        "views/runs.py",
        title="Runs",
        icon=":material/list:",
        help="Everything that ran: open, compare, resume, delete.",
    ),
    st.Page(
        "views/evidence.py",
        title="Evidence",
        icon=":material/fact_check:",
        help="Does each method do what its paper claims? Measured, seed by seed.",
    ),
]
HERE = Path(__file__).parent
st.set_page_config(page_title="Quantoscope", page_icon=str(HERE / "icon.png"), layout="wide")
st.logo(str(HERE / "logo.svg"), size="large")
page = st.navigation([*PAGES, *moved_pages()], position="top")
if is_there(page.url_path):
    close_dialog()
lead_on()
with st.container(key="new-run-above"):  # main.css puts it into the bar on top
    new_run_button(key="new-run-open", type="primary")
st.html(HERE / "main.css")
open_dialog()  # before the page, which may end early
page.run()
keep_out(len(sys.modules))  # whoever waits for the page has it by now
