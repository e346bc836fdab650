"""What happens, what did it cost, why, and what now? All that is seen of a run."""

import streamlit as st

from app.history import History, read_history
from app.panels.empty_page import nothing_yet
from app.panels.head.outcome import notes
from app.panels.head.run_head import run_head
from app.panels.url_menu import buttons
from app.state import current_run
from app.views.tabs import answers, images, layers
from engine.run.folders.folder import RunFolder

TABS = {"images": images, "layers": layers, "answers": answers}
STAGE_TABS = {"synthesis": "images", "quantization": "layers", "evaluation": "answers"}


def first_tab(history: History) -> str:
    """The tab of the stage at work; the images before there is one."""
    stages = [event["stage"] for event in history.of("stage-started")]
    return next((STAGE_TABS[one] for one in reversed(stages) if one in STAGE_TABS), "images")


def draw(folder: RunFolder) -> None:
    """The head, and under it the tab that the address names."""
    history = read_history(folder)
    run_head(folder, history, kinds=["layer-measured"])
    names = sorted(TABS, key=lambda one: one != first_tab(history))  # the first is the default
    titles = {one: one.capitalize() for one in TABS if one in names}
    chosen = buttons("View", titles, "tab", label_visibility="collapsed")
    with st.container():
        TABS[chosen].draw(folder, history)
    with st.container():
        notes(folder, history, late=True)


folder = current_run()
if folder is None:
    nothing_yet()
    st.stop()
draw(folder)
