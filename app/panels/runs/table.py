"""Runs as a table: a picture, what it is, how it ended."""

import base64
from typing import Any

import pandas as pd
import streamlit as st

from app.choices import title_of
from app.panels import measured
from app.run_folders import state_of
from app.words import STATES, bits_of
from engine.run.folders.folder import RunFolder

ROW_PX, HEAD_PX = 44, 38
COLUMNS = {
    "picture": st.column_config.ImageColumn("Images", width="small"),
    "network": st.column_config.TextColumn("Network"),
    "images from": st.column_config.TextColumn("Images from"),
    "quantizer": st.column_config.TextColumn("Quantizer"),
    "bits": st.column_config.TextColumn("Bits", width="small"),
    "seed": st.column_config.NumberColumn("Seed", width="small"),
    "state": st.column_config.TextColumn("State", width="small"),
    "top-1": st.column_config.NumberColumn("Top-1", format="%.2f %%", width="small"),
    "drop": st.column_config.NumberColumn(
        "Drop", format="%.2f", width="small", help="Float top-1 less quantized, in points"
    ),
    "judged": st.column_config.TextColumn(
        "Judged by", width="small", help="What a run without an accuracy is judged by"
    ),
    "when": st.column_config.DatetimeColumn("When", format="distance"),
}


def runs_table(folders: list[RunFolder], *, key: str, at_once: int = 8) -> RunFolder | None:
    """The table, `at_once` rows high at most; returns the run of the row that is selected."""
    rows = [row for folder in folders if (row := _row(folder))]
    if not rows:
        return None
    left_out = ["folder"] if any(row["judged"] for row in rows) else ["folder", "judged"]
    chosen = st.dataframe(
        pd.DataFrame(rows).drop(columns=left_out),
        column_config=COLUMNS,
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        row_height=ROW_PX,
        height=HEAD_PX + ROW_PX * min(len(rows), at_once),
        placeholder="–",
        key=key,
    )
    selected = chosen["selection"]["rows"]
    return rows[selected[0]]["folder"] if selected and selected[0] < len(rows) else None


def _row(folder: RunFolder) -> dict[str, Any] | None:
    try:
        recipe, state = folder.recipe, state_of(folder)
        when_s = folder.path.stat().st_mtime
    except (OSError, TypeError, ValueError):
        return None  # just being deleted, or written by another version
    result = folder.result() or {}
    top1, before = result.get("quantized_top1"), result.get("fp32_top1")
    return {
        "folder": folder,
        "picture": _picture(folder),
        "network": title_of("models", recipe.model),
        "images from": title_of("synthesis", recipe.synthesis),
        "quantizer": title_of("quantization", recipe.quantization),
        "bits": bits_of(recipe),
        "seed": recipe.seed,
        "state": STATES.get(state, state),
        "top-1": None if top1 is None else 100 * top1,
        "drop": None if top1 is None or before is None else 100 * (before - top1),
        "judged": "" if top1 is not None or not result else measured.brief(result),
        "when": pd.Timestamp(when_s, unit="s", tz="UTC"),
    }


def _picture(folder: RunFolder) -> str | None:
    frames = sorted(folder.snapshots.glob("images-*.webp"))
    if not frames:
        return None
    # Named by size too: a run that is resumed may write the same frame again.
    return _encoded(str(frames[-1]), frames[-1].stat().st_mtime_ns)


@st.cache_data(max_entries=500, show_spinner=False)
def _encoded(path: str, changed: int) -> str:  # noqa: ARG001  (the cache's key)
    with open(path, "rb") as file:  # noqa: PTH123  (the cache wants plain text as its key)
        return "data:image/webp;base64," + base64.b64encode(file.read()).decode()
