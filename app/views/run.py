"""What happens, what did it cost, why, and what now? All that is seen of a run."""

import streamlit as st

from app.links.state import current_run
from app.panels.head.outcome import notes
from app.panels.head.run_head import run_head
from app.panels.head.tab_choice import tab_of
from app.panels.shared.empty_page import nothing_yet
from app.run_files.history import read_history
from app.views.tabs import answers, images, layers
from engine.run.folders.folder import RunFolder

TABS = {"images": images, "layers": layers, "answers": answers}


def draw(folder: RunFolder) -> None:
    """The head, and under it the tab that the address names, or that of the stage at work."""
    history = read_history(folder)
    tab = tab_of(folder, history)
    run_head(folder, history, tab, kinds=["layer-measured"])
    for name, one in TABS.items():
        # A place each: in one for all, Streamlit would mount the charts of the tab that is left once more.
        with st.container(key=f"tab-{name}"):
            if name == tab:
                one.draw(folder, history)
    with st.container():
        notes(folder, history, late=True)


folder = current_run()
if folder is None:
    nothing_yet()
    st.stop()
draw(folder)
