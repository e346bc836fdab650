"""Finished images side by side: layers, features, classes, pairs of images."""

from collections.abc import Sequence

import streamlit as st

from app.charts.images import image_statistics as charts
from app.charts.images.compare import lines
from app.charts.panels import letter
from app.charts.style import LOG, axis
from app.engine_calls.choices import load_catalog
from app.panels.compare.side_by_side import draw, joined
from engine.core.percent import percent
from engine.run.questions.compare import Side
from engine.run.questions.image_statistics import (
    ClassShares,
    class_names,
    class_shares,
    feature_map,
    layer_spread,
    pair_histograms,
)


def spreads(sides: Sequence[Side]) -> None:
    """How far the images of a side differ from each other at every layer, in means and in deviations."""
    layers = next((side.layers for side in sides if side.statistics), [])
    if any(side.layers != layers for side in sides if side.statistics):
        st.caption("The networks have different layers: their spreads stand on no common axis.")
        return
    columns = st.columns(2, gap="medium")
    for column, (name, what) in zip(
        columns, (("spread", "mean"), ("deviation_spread", "standard deviation")), strict=True
    ):
        found = [layer_spread(side, name) for side in sides]
        with column:
            st.caption(
                f"**Spread of per-image {what}s**: the standard deviation, over images, of each image's own "
                f"{what} in a channel, over the channel's stored deviation; averaged over channels. "
                "**Higher: the images differ more from each other.** 0: all alike to this layer."
            )
            old = [letter(k) for k, one in enumerate(found) if one is None and sides[k].statistics]
            if old and layers:
                st.caption(f"Not told of {', '.join(old)}: portrayed by an older version.")
            if any(found):
                draw(charts.layer_spreads(layers, found, what), name, sides)


def features(sides: Sequence[Side]) -> None:
    """The joint map of the images' features."""
    points = feature_map(sides)
    if points is None:
        st.caption("The features lie on one plane only for finished images of one network.")
        return
    st.caption(
        "**Map of the penultimate features**: a dot an image, near each other where the teacher finds them "
        "alike. **Wider: more diverse to the teacher.** Clusters of one colour: classes it tells apart."
    )
    classes = [_classes(side, len(p)) for side, p in zip(sides, points, strict=True)]
    names = dict(enumerate(_catalog_names(sides))) | class_names(sides)
    draw(charts.feature_maps([p.tolist() for p in points], classes, names), "features", sides)


def class_histogram(sides: Sequence[Side]) -> None:
    """The share of the images that the teacher puts into each class; of many classes the commonest."""
    told = class_shares(sides, _catalog_names(sides))
    if told is None:
        if len({side.run.recipe.model for side in sides}) > 1:
            st.caption("The networks know different classes: they have no common histogram.")
        else:
            st.caption(
                "These images have no classes to count: the network gives none, or nobody looked."
            )
        return
    st.caption(
        "**Class histogram**: the share of the images of which the teacher thinks this class first. "
        "**More even: more diverse.**" + _left_out(told)
    )
    draw(charts.class_bars(told.shares, told.names), "classes", sides)


def _left_out(told: ClassShares) -> str:
    if len(told.names) == told.classes:
        return ""
    drawn, rest = len(told.names), told.left_out
    seen = drawn + rest
    words = f" Drawn: the {seen} classes that have images."
    if rest:
        shares = [
            f"{percent(s, 0)} of {letter(k)}'s" for k, s in enumerate(told.rest) if s is not None
        ]
        others = "1 other class has" if rest == 1 else f"{rest} other classes have"
        words = f" Drawn: the {drawn} commonest; {others} {joined(shares)} images."
    return words + f" {told.classes - seen} of {told.classes} classes have none."


def distributions(sides: Sequence[Side]) -> None:
    """Cosines of pairs of images and of features, and the power spectrum."""
    left, middle, right = st.columns(3, gap="medium")
    for column, name, title, words in (
        (left, "pixel_cosines", "Pixel correlation",
         "the cosine between the pixels of two different images, for every pair. **Nearer to 0: images "
         "repeat each other less**; 1: a brighter copy, −1: its negative."),
        (middle, "feature_cosines", "Pairwise distances",
         "1 − the cosine between the penultimate features of two different images, for every pair. "
         "**Higher (further right): more diverse to the teacher.**"),
    ):  # fmt: skip
        centres, found = pair_histograms(sides, name)
        apart = name == "feature_cosines"
        across = [1 - cosine if apart else cosine for cosine in centres]
        plain = [None if shares is None else (across, shares) for shares in found]
        x_title = "1 − cosine of two images' features" if apart else "cosine of two images' pixels"
        with column:
            st.caption(f"**{title}**: {words}")
            chart = lines(
                plain, x=axis(x_title),
                y=axis("share of pairs", tickformat=".0%", rangemode="tozero"), shape="hvh",
                alt=f"{title}: its distribution over all pairs of images, by run.",
            )  # fmt: skip
            draw(chart, name, sides)
    with right:
        st.caption(
            "**Power spectrum**: the share of the images' power at each spatial frequency. **Steeper: "
            "smoother**, as photographs are; flat: noise."
        )
        spectra = [
            (side.statistics["frequencies"].tolist(), side.statistics["power"].tolist())
            if side.statistics
            else None
            for side in sides
        ]
        chart = lines(
            spectra, x=axis("cycles a pixel"),
            y=axis("share of the power", **LOG),
            alt="Power of the images by spatial frequency, by run.",
        )  # fmt: skip
        draw(chart, "spectrum", sides)


def _classes(side: Side, count: int) -> list[int]:
    """The class that the teacher sees in each image; all alike where it has no classes."""
    seen = (side.statistics or {}).get("classes")
    return [0] * count if seen is None else [int(c) for c in seen]


def _catalog_names(sides: Sequence[Side]) -> list[str]:
    try:
        models = load_catalog()["models"]
    except (RuntimeError, OSError, KeyError):
        return []
    wanted = sides[0].run.recipe.model
    return next((list(m.get("class_names", [])) for m in models if m["name"] == wanted), [])
