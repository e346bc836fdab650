"""Do the values that a layer reads fit its grid, and does one channel reach further than the others?"""

import pandas as pd
import streamlit as st

from app.charts.inside import inputs as charts
from app.panels.layers.inside.drawn import Found, draw
from app.text import explain
from app.wording.words import plain
from engine.core.percent import percent
from engine.run.folders.folder import RunFolder


def layer_input(folder: RunFolder, found: Found) -> pd.DataFrame:
    """How the values that the layer reads lie on its grid, and how far each channel reaches."""
    given = found["input"]
    levels, sources = given["levels"], given["sources"]
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**Do its values fit the grid?**", help=explain("values-on-grid"))
        draw(folder, found, charts.input_histogram(given), "input")
        if levels is not None:
            st.caption(
                f"{len(levels)} levels. "
                + "; ".join(
                    f"{plain(one['title'])}: {percent(one['clipped'], 2)} clipped, "
                    f"{one['sqnr_db']:.0f} dB after rounding"
                    for one in sources
                )
                + "."
            )
    with right:
        title = "**Does one channel reach further than the others?**"
        st.markdown(title, help=explain("channel-reach"))
        first = sources[0]
        ends = (levels[0], levels[-1]) if levels is not None and _in_own_units(given) else ()
        draw(folder, found, charts.reach(first["channels"], ends, "input"), "reach")
        st.caption(
            f"{plain(first['title'])}, {found['images']} images; dashed: the ends of the grid."
        )
    return pd.DataFrame(
        {"images": one["title"], "channel": k, "low": low, "high": high}
        for one in sources
        for k, (low, high) in enumerate(
            zip(one["channels"]["low"], one["channels"]["high"], strict=True)
        )
    )


def _in_own_units(given: Found) -> bool:
    """Whether the grid is in the units of what is read: not where parts of it have grids of their own."""
    reach = max(given["sources"][0]["channels"]["high"])
    return bool(reach <= given["high"] * (1 + 1e-3))
