"""What a run leaves, to take away: one file a format."""

import json
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from app.history import read_history
from app.layer_numbers import numbers_of
from app.panels.layers.layer_table import table
from engine.run.folders.folder import RunFolder

OPEN = "take-away-of"  # of the session: the run whose dialog is open


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A file to download; `make` gives its content, or None where the run has nothing of it."""

    name: str
    label: str
    words: str  # what is in it, and for whom
    ending: str
    mime: str
    make: Callable[[RunFolder], bytes | None]


def _result(folder: RunFolder) -> bytes | None:
    result = folder.result()
    return None if result is None else json.dumps(result, indent=1).encode()


def _layers(folder: RunFolder) -> bytes | None:
    measured = {one["path"]: numbers_of(one) for one in read_history(folder).layers_measured()}
    frame: pd.DataFrame = table(measured, everything=True)
    return frame.to_csv(index=False).encode() if measured else None


def _recipe(folder: RunFolder) -> bytes | None:
    return folder.recipe.to_json().encode()


FORMATS = [
    Format(
        name="result", label="The result as JSON", ending="result.json", mime="application/json",
        words="Accuracies with their bands, sizes, times, and every layer's numbers.", make=_result,
    ),
    Format(
        name="layers", label="The layers as a table (CSV)", ending="layers.csv", mime="text/csv",
        words="A row a layer, a column a number; opens in a spreadsheet.", make=_layers,
    ),
    Format(
        name="recipe", label="The recipe as JSON", ending="recipe.json", mime="application/json",
        words="All that the run depends on: the same recipe gives the same run.", make=_recipe,
    ),
]  # fmt: skip


def take_away_button(folder: RunFolder) -> None:
    """The button; it opens the dialog with every format that the run has something of."""
    if st.button("Take away", icon=":material/download:", key="take-away"):
        st.session_state[OPEN] = folder.run_id
    # Drawn as long as it is open: a page that draws itself anew while a run is at work would close it.
    if st.session_state.get(OPEN) == folder.run_id:
        _dialog(folder)


def _close() -> None:
    st.session_state.pop(OPEN, None)


@st.dialog("Take away", on_dismiss=_close)
def _dialog(folder: RunFolder) -> None:
    st.caption("Files to keep, to send, or to go on with elsewhere.")
    for one in FORMATS:
        content = one.make(folder)
        left, right = st.columns([3, 2], vertical_alignment="center")
        left.markdown(f"**{one.label}**  \n{one.words}")
        with right:
            if content is None:
                st.caption("This run has none yet.")
                continue
            st.download_button(
                "Download", content, f"{folder.run_id}_{one.ending}", one.mime, key=f"take-{one.name}",
                icon=":material/download:", on_click="ignore", width="stretch",
            )  # fmt: skip
