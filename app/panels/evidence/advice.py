"""How good the doctor's advice is: predictions beside what was measured, as a picture and rule by rule."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from app.charts.outcomes.advice import predicted_and_measured
from app.components import mount
from app.panels.shared.csv_button import csv_button
from engine.core.percent import BAND
from engine.run.benches.advice.file import by_rule, rows_of, tried_of, verdict

Result = Mapping[str, Any]


def heading(result: Result) -> None:
    """The verdict in a few sentences, and what was measured when."""
    found = verdict(result)
    said = [
        f"**{found.helped} of {found.tried} changes helped**; whether a change would help or harm was "
        f"predicted rightly for {found.right}.",
    ]
    if found.rank is not None:
        said.append(
            f"The rank correlation of predicted and measured gain is **{found.rank:.2f}**{_within(found)}."
        )
    said.append(
        f"The measured gain lay in the predicted {BAND} band in **{found.held} of {found.tried}**"
        f"{'' if found.held >= 0.9 * found.tried else ': the bands are too narrow'}."
    )
    st.markdown(" ".join(said))
    st.caption(
        f"{found.runs} runs of {found.networks} networks · predicted on {_counts(result, 'seen')} test "
        f"images, measured on {_counts(result, 'test_images')} · measured until {result['date']} UTC with "
        f"torch {result['versions']['torch']}."
    )


def _counts(result: Result, of: str) -> str:
    counts = sorted({run[of] for run in result["runs"]})
    return f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"


def _within(found: Any) -> str:
    return "" if found.within is None else f" over all runs, and {found.within:.2f} within a run"


def picture(result: Result) -> None:
    """A dot for each change."""
    figure = predicted_and_measured(tried_of(result))
    mount.live_plot(figure, key="advice", run=str(result["date"]), offset=0)
    st.caption(
        f"A dot is a change that was run for real; the line across it is the predicted {BAND} band. On the "
        "dashed line prediction and measurement agree."
    )


def rules(result: Result) -> None:
    """A row for each rule."""
    rows = [
        {
            "Rule": row["rule"].replace("-", " "),
            "Helped": f"{row['helped']} of {row['tried']}",
            "In band": f"{row['held']} of {row['tried']}",
        }
        for row in by_rule(result)
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, height="content")


def numbers(result: Result) -> None:
    """Every change that was tried."""
    head, *rows = rows_of(result)
    frame = pd.DataFrame(rows[:-1], columns=head)
    st.dataframe(frame, hide_index=True, height="content")
    csv_button(frame, "advice", "changes")


def command(result: Result) -> None:
    """What to type to measure it again."""
    st.code(result["command"], language="bash")
