"""The numbers of runs side by side, each with its name, its direction and its definition."""

from collections.abc import Sequence
from html import escape
from typing import Any

import streamlit as st

from app.charts.panels import letter
from app.charts.style import GRID, SERIES
from app.panels.shared.csv_button import csv_button
from engine.run.questions.compare import Side
from engine.run.questions.image_statistics import measure_table

ROW = f"display:flex;flex-wrap:wrap;gap:2px 24px;padding:8px 0;border-top:1px solid {GRID}"
NUMBER = "flex:0 0 56px;text-align:right;font-variant-numeric:tabular-nums"
SMALL = "font-size:0.85rem;opacity:0.75"


def measures(sides: Sequence[Side]) -> None:
    """A row a number: what it is, every side's value, what more of it means, how it is defined."""
    missing = [letter(k) for k, side in enumerate(sides) if side.statistics is None]
    if missing:
        st.caption(
            f"No statistics of the images of {', '.join(missing)} yet: they are computed when a run's images "
            "are finished. Older versions did not compute them; the same recipe run again does."
        )
    if len(missing) < len(sides):
        # Not a table: on a narrow page the numbers go below their name, and the definition below them.
        rows = measure_table(sides)
        st.html("".join(_row(row) for row in rows))
        csv_button(table(sides, rows), "compare", "measures")


def table(sides: Sequence[Side], rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row a number, a column a run."""
    runs = [f"{letter(k)}: {side.run.run_id}" for k, side in enumerate(sides)]
    return [
        {"measure": row["title"], **dict(zip(runs, row["values"], strict=True))}
        | {name: row[name] for name in ("direction", "definition")}
        for row in rows
    ]


def _row(row: dict[str, Any]) -> str:
    numbers = "".join(_number(k, value) for k, value in enumerate(row["values"]))
    return (
        f'<div style="{ROW}"><div style="flex:1 1 250px"><b>{escape(row["title"])}</b>'
        f'<div style="{SMALL}">{escape(row["direction"])}</div></div>'
        f'<div style="flex:0 0 auto;display:flex;gap:8px">{numbers}</div>'
        f'<div style="flex:2 1 340px;{SMALL}">{escape(row["definition"])}</div></div>'
    )


def _number(k: int, value: float | None) -> str:
    name = f'<div style="color:{SERIES[k % len(SERIES)]};font-weight:600">{letter(k)}</div>'
    return f'<div style="{NUMBER}">{name}{number_words(value)}</div>'


def number_words(value: float | None) -> str:
    """The number in four digits or so, that columns stay below each other; a dash for none."""
    if value is None:
        return "–"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
