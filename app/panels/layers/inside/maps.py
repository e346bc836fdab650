"""What does a layer make of an image: one channel in both networks, and the difference?"""

import pandas as pd
import streamlit as st

from app.charts.inside import maps as charts
from app.panels.layers.inside.drawn import Found, draw
from app.panels.shared.url_menu import menu
from app.text import explain
from engine.core.percent import percent
from engine.run.folders.folder import RunFolder


def feature_maps(folder: RunFolder, found: Found) -> pd.DataFrame:
    """One channel's feature map for one image, in both networks and as a difference."""
    maps = found["maps"]
    st.markdown("**Where does the student see something else?**", help=explain("feature-maps"))
    errors = dict(zip(maps["images"], maps["errors"], strict=True))
    images = {str(k): f"image {k} (error {percent(error, 0)})" for k, error in errors.items()}
    channels = {
        str(k): f"channel {k}" + ("" if place else " (largest error)")
        for place, k in enumerate(maps["channels"])
    }
    left, middle, right = st.columns([1, 3, 3], vertical_alignment="bottom")
    with middle:
        image = maps["images"].index(int(menu("Image", images, "image")))
    with right:
        channel = maps["channels"].index(int(menu("Channel", channels, "channel")))
    with left:
        st.html(
            f'<img src="{maps["pictures"][image]}" alt="the image" '
            'style="width:72px;image-rendering:pixelated;border-radius:4px">'
        )
    draw(folder, found, charts.feature_maps(maps, image, channel), "maps")
    usual = maps["usual_error"]
    said = (
        f"The layer's output for this image is {percent(maps['errors'][image], 0)} off; "
        f"{percent(usual, 0)} is usual here. Dark to light: {maps['low'][channel]:.2g} to "
        f"{maps['high'][channel]:.2g}; blue to red: ∓{maps['largest_difference'][channel]:.2g}."
    )
    if maps["averaged_from"]:
        height, width = maps["averaged_from"]
        said += f" The maps are {height} × {width}, drawn smaller by averaging."
    st.caption(said)
    parts = charts.planes(maps, image, channel)
    scales = [(maps["low"][channel], maps["high"][channel])] * 2
    scales.append((-maps["largest_difference"][channel], maps["largest_difference"][channel]))
    return pd.DataFrame(
        {"row": y, "column": x}
        | {
            name: low + part[y][x] / 255 * (high - low)
            for name, part, (low, high) in zip(charts.PARTS, parts, scales, strict=True)
        }
        for y in range(len(parts[0]))
        for x in range(len(parts[0][0]))
    )
