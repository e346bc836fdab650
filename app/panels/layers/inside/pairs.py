"""How far is each value from the diagonal: float across, quantized upward?"""

import pandas as pd
import streamlit as st

from app.charts.inside import pairs as charts
from app.panels.layers.inside.drawn import Found, draw
from app.text import explain
from engine.run.folders.folder import RunFolder

PAIRS = {
    "output": ("float network", "student"), "input": ("before its grid", "on its grid"),
    "weights": ("float weight", "quantized weight"),
}  # fmt: skip


def value_pairs(folder: RunFolder, found: Found) -> pd.DataFrame:
    """Every value where it lies: float across, quantized upward."""
    rows = []
    title = "**How far from its float value does each one land?**"
    st.markdown(title, help=explain("value-pairs"))
    there = [(name, found[name]["pairs"]) for name in PAIRS if found[name] and found[name]["pairs"]]
    for column, (name, values) in zip(st.columns(len(there), gap="medium"), there, strict=True):
        across, upward = PAIRS[name]
        with column:
            st.markdown(f"**{name.capitalize()}**")
            draw(folder, found, charts.pairs(values, across, upward), f"pairs{name}")
        step = (values["high"] - values["low"]) / len(values["counts"])
        rows += [
            {
                "of": name,
                across: values["low"] + (x + 0.5) * step,
                upward: values["low"] + (y + 0.5) * step,
                "count": n,
            }
            for y, row in enumerate(values["counts"])
            for x, n in enumerate(row)
            if n
        ]
    st.caption(
        "Lighter: more values (logarithmic). On the dotted line is no error. Output: behind all "
        f"layers before it, {found['output']['sqnr_db']:.0f} dB."
    )
    return pd.DataFrame(rows)
