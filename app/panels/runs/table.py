"""Runs as a table: a picture, what it is called or is, what differs, how it ended."""

import base64
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from app.engine_calls.choices import title_of
from app.panels.shared import measured
from app.run_files.run_folders import state_of
from app.run_files.run_notes import note_of
from app.wording.data_words import bits_of
from app.wording.words import STATES
from engine.core.percent import SIGN
from engine.run.folders.folder import RunFolder
from engine.run.folders.opened import opened_from

ROW_PX, HEAD_PX = 44, 38
COLUMNS = {
    "picture": st.column_config.ImageColumn("Images", width="small"),
    "name": st.column_config.TextColumn("Name", help="What you called it"),
    "network": st.column_config.TextColumn("Network"),
    "bits": st.column_config.TextColumn(
        "Bits", width=96, help="W2A4: 2 bits a weight, 4 bits an activation"
    ),
    "images from": st.column_config.TextColumn("Images from"),
    "quantizer": st.column_config.TextColumn("Quantizer"),
    "differs": st.column_config.TextColumn(
        "What differs", help="From the run it was forked from, else from the most alike that is older"
    ),
    "state": st.column_config.TextColumn("State", width=90),
    "top-1": st.column_config.NumberColumn(
        "Top-1", format=f"%.2f{SIGN}%", width="small",
        help="Share of the test images whose class the quantized network names first",
    ),
    "drop": st.column_config.NumberColumn(
        "Points lost", format="%.2f", width=100,
        help="Top-1 of the float network less that of the quantized one, in points. Less is better.",
    ),
    "judged": st.column_config.TextColumn(
        "Judged by", width=110, help="What a run without an accuracy is judged by"
    ),
    "opened": st.column_config.TextColumn(
        "Opened from", help="The bundle that it came in: it ran elsewhere and is here to look at"
    ),
    "note": st.column_config.TextColumn("Note", help="What you wrote about it"),
    "when": st.column_config.DatetimeColumn(
        "When", format="distance", help="When it was started for the first time"
    ),
}  # fmt: skip


def runs_table(folders: list[RunFolder], *, key: str, at_once: int = 8) -> RunFolder | None:
    """The table, `at_once` rows high at most; returns the run of the row that is selected."""
    chosen = _table(folders, {}, key=key, at_once=at_once, mode="single-row")
    return chosen[0] if chosen else None


def many_runs(
    folders: list[RunFolder], differs: Mapping[str, str], *, key: str, at_once: int
) -> list[RunFolder]:
    """The table with what differs, by run id; returns the runs of the rows that are ticked, topmost first."""
    return _table(folders, differs, key=key, at_once=at_once, mode="multi-row")


def table_key(folders: Sequence[RunFolder]) -> str:
    """Another table for other rows: else a tick would stay at a row that is another run now."""
    return f"runs-{zlib.crc32(','.join(folder.run_id for folder in folders).encode()):08x}"


def _table(
    folders: Sequence[RunFolder], differs: Mapping[str, str], *, key: str, at_once: int, mode: Any
) -> list[RunFolder]:
    rows = [row for folder in folders if (row := _row(folder, differs))]
    if not rows:
        return []
    left_out = [
        name
        for name in ("judged", "name", "note", "differs", "opened")
        if not any(row[name] for row in rows)
    ]
    chosen = st.dataframe(
        pd.DataFrame(rows).drop(columns=["folder", *left_out]),
        column_config=COLUMNS,
        hide_index=True,
        on_select="rerun",
        selection_mode=mode,
        row_height=ROW_PX,
        height=HEAD_PX + ROW_PX * min(len(rows), at_once),
        placeholder="–",
        key=key,
    )
    selected = sorted(chosen["selection"]["rows"])
    return [rows[one]["folder"] for one in selected if one < len(rows)]


def _row(folder: RunFolder, differs: Mapping[str, str]) -> dict[str, Any] | None:
    try:
        recipe, state = folder.recipe, state_of(folder)
    except (OSError, TypeError, ValueError):
        return None  # just being deleted, or written by another version
    result, note = folder.result() or {}, note_of(folder)
    top1, before = result.get("quantized_top1"), result.get("fp32_top1")
    return {
        "folder": folder,
        "picture": _picture(folder),
        "name": note.name,
        "network": title_of("models", recipe.model),
        "bits": bits_of(recipe),
        "opened": opened_from(folder.path),
        "top-1": None if top1 is None else 100 * top1,
        "drop": None if top1 is None or before is None else 100 * (before - top1),
        "judged": "" if top1 is not None or not result else measured.brief(result),
        "state": STATES.get(state, state),
        "differs": differs.get(folder.run_id, ""),
        "note": note.text,
        "images from": title_of("synthesis", recipe.synthesis),
        "quantizer": title_of("quantization", recipe.quantization),
        "when": pd.Timestamp(folder.asked_s(), unit="s", tz="UTC"),
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
