"""A table or the numbers of a panel, to take away: every page hands out CSV by this button."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from engine.export.sheets import as_csv


def csv_button(
    table: pd.DataFrame | Sequence[Mapping[str, Any]],
    of: str,
    name: str,
    *,
    label: str = "CSV",
    key: str = "",
    words: str | None = None,
) -> None:
    """The button; the file is named after what it is of (a run, say) and what it holds."""
    rows = table.to_dict("records") if isinstance(table, pd.DataFrame) else table
    st.download_button(
        label, as_csv(rows), f"{of}_{name}.csv", "text/csv", key=key or f"{name}-csv", help=words,
        icon=":material/download:", on_click="ignore",
    )  # fmt: skip
