"""Is one channel of a layer's weights the trouble? Where does a weight go on its grid?"""

import pandas as pd
import streamlit as st

from app.charts.inside import weights as charts
from app.panels.layers.inside.drawn import Found, draw
from app.panels.shared.url_menu import menu
from app.text import explain
from engine.run.folders.folder import RunFolder


def layer_weights(folder: RunFolder, found: Found) -> pd.DataFrame:
    """The range of every output channel, and one channel with a weight that can be moved on its grid."""
    weights = found["weights"]
    each = {one["channel"]: one for one in weights["one_by_one"]}
    titles = {
        str(k): f"channel {k}" + ("" if place else " (largest error of the output)")
        for place, k in enumerate(each)
    }
    left, right = st.columns(2, gap="medium")
    with right:
        st.markdown("**Where does a weight go on its grid?**", help=explain("weight-on-grid"))
        one = each[int(menu("Channel", titles, "channel"))]
        weight = st.slider(
            "Move a weight", float(one["low"]), float(one["high"]), float(one["values"][0]), format="%.4f",
            key=f"weight-{found['layer']}-{one['channel']}",
        )  # fmt: skip
        draw(folder, found, charts.one_channel(one, weight), "channel")
        code = charts.nearest(one["levels"], weight)
        st.caption(
            f"It takes code {code} of {len(one['levels'])}, the value {one['levels'][code]:.4g}: an error of "
            f"{one['levels'][code] - weight:+.4g}. This channel uses {one['used']} of its levels."
        )
    with left:
        title = "**Is one channel of its weights the trouble?**"
        st.markdown(title, help=explain("weight-channels"))
        draw(folder, found, charts.weight_ranges(weights["channels"], one["channel"]), "ranges")
        st.caption("Red: the ends of each channel's grid.")
    rows = weights["channels"]
    return pd.DataFrame({"channel": range(len(rows["low"])), **rows})
