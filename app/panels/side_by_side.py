"""Runs side by side: each function draws one question's answer for all of them."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from app.charts import compare as charts
from app.charts.compare import letter
from app.charts.style import LiveFigure
from app.choices import load_catalog, title_of
from app.components import mount
from app.words import recipe_words
from engine.run.compare import (
    Side,
    cosine_histogram,
    feature_map,
    frame_at,
    gap_difference,
    measure_table,
)

HIDDEN = ("contents", "preset")
MOST_TOLD = 4  # settings that differ are told at once; more of them on demand


def what_differs(sides: Sequence[Side]) -> None:
    """A letter a run, and the settings in which their recipes differ."""
    flat = [_flat(dataclasses.asdict(side.run.recipe)) for side in sides]
    names = sorted({name for one in flat for name in one})
    rows = {
        name: [str(one.get(name, "–")) for one in flat]
        for name in names
        if len({str(one.get(name)) for one in flat}) > 1
    }
    columns = st.columns(len(sides), gap="medium")
    for k, (column, side) in enumerate(zip(columns, sides, strict=True)):
        column.markdown(f"**{letter(k)}** · {recipe_words(side.run.recipe)}")
        if 0 < len(rows) <= MOST_TOLD:
            column.caption(" · ".join(f"{name} {values[k]}" for name, values in rows.items()))
        column.page_link(
            "views/lab.py", label=f"Open {letter(k)} in the Live lab", icon=":material/science:",
            query_params={"run": side.run.run_id},
        )  # fmt: skip
    with st.expander(f"What differs in their recipes ({len(rows)})"):
        if rows:
            table = pd.DataFrame(rows, index=[letter(k) for k in range(len(sides))]).T
            st.dataframe(table, width="stretch")
        else:
            st.caption("Nothing: it is the same recipe.")


def _flat(fields: dict[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        if name in HIDDEN:
            continue
        if isinstance(value, dict):
            flat |= _flat(value, f"{name.removesuffix('_settings')}.")
        else:
            flat[f"{before}{name}"] = value
    return flat


def films(sides: Sequence[Side]) -> None:
    """Every side's images at the same share of its synthesis, moved by one slider."""
    share = st.slider(
        "Share of the synthesis", 0, 100, 100, format="%d %%", key="compare-share",
        help="0 is the first picture kept, 100 the finished images.",
    )  # fmt: skip
    for k, (column, side) in enumerate(
        zip(st.columns(len(sides), gap="medium"), sides, strict=True)
    ):
        file = frame_at(side, share / 100)
        if file is None or not side.run.snapshot(file).is_file():
            column.caption(f"{letter(k)}: no picture yet")
            continue
        column.image(
            side.run.snapshot(file).read_bytes(),
            caption=f"{letter(k)} · {title_of('synthesis', side.run.recipe.synthesis)}",
            width="stretch",
        )


def gap_maps(sides: Sequence[Side]) -> None:
    """The maps on one scale where the layers are the same, and each one's ratio to the first."""
    shown = [side for side in sides if side.layers]
    if not shown:
        st.caption("These networks have no BatchNorm layers: there is no gap to map.")
        return
    if len({tuple(side.layers) for side in shown}) > 1 or len(shown) < len(sides):
        st.caption("The networks have different layers: open each run's own map in the Live lab.")
        return
    _draw(charts.gap_maps(sides[0].layers, [_logs(side.gaps) for side in sides]), "gap-maps", sides)
    for k, other in enumerate(sides[1:], start=1):
        difference, name = gap_difference(sides[0], other), letter(k)
        if difference is not None:
            st.markdown(
                f"**{name} against A**: blue where {name}'s statistics are nearer to the teacher's."
            )
            chart = charts.gap_difference(sides[0].layers, _plain(difference), k)
            _draw(chart, f"gap-ratio-{name}", sides)


def measures(sides: Sequence[Side]) -> None:
    """The numbers as a table, each with its direction and definition."""
    missing = [letter(k) for k, side in enumerate(sides) if side.portrait is None]
    if missing:
        st.caption(
            f"No portrait of {', '.join(missing)} yet: it is taken when a run's images are finished "
            "(and was not taken by older versions; the same recipe run again takes it)."
        )
    if len(missing) == len(sides):
        return
    rows = [
        {"what": row["title"]}
        | {letter(k): value for k, value in enumerate(row["values"])}
        | {"more of it means": row["direction"], "definition": row["definition"]}
        for row in measure_table(sides)
    ]
    numbers = {
        letter(k): st.column_config.NumberColumn(letter(k), format="%.3f", width="small")
        for k in range(len(sides))
    }
    st.dataframe(
        pd.DataFrame(rows),
        column_config=numbers,
        hide_index=True,
        height="content",
        placeholder="–",
    )


def classes_and_features(sides: Sequence[Side]) -> None:
    """The joint map of features, and the classes that the teacher sees."""
    names = _class_names(sides)
    points = feature_map(sides)
    if points is not None:
        classes = [_classes(side, len(p)) for side, p in zip(sides, points, strict=True)]
        _draw(charts.feature_maps([p.tolist() for p in points], classes, names), "features", sides)
    else:
        st.caption("The features lie on one plane only for finished images of one network.")
    shares = [_shares(side) for side in sides]
    if max((len(one) for one in shares if one), default=0) <= 100:
        _draw(charts.class_bars(shares, names), "classes", sides)


def distributions(sides: Sequence[Side]) -> None:
    """Cosines of pairs of images and of features, and the power spectrum."""
    left, middle, right = st.columns(3, gap="medium")
    for column, name, title in (
        (left, "pixel_cosines", "cosine of two images' pixels"),
        (middle, "feature_cosines", "cosine of two images' features"),
    ):
        with column:
            found = [cosine_histogram(side, name) for side in sides]
            plain = [None if f is None else (f[0].tolist(), f[1].tolist()) for f in found]
            chart = charts.lines(
                plain, x_title=title, y_title="share of pairs", filled=True,
                alt=f"Distribution of the {title}, by run.",
            )  # fmt: skip
            _draw(chart, name, sides)
    with right:
        spectra = [
            (side.portrait["frequencies"].tolist(), side.portrait["power"].tolist())
            if side.portrait
            else None
            for side in sides
        ]
        chart = charts.lines(
            spectra, x_title="cycles a pixel", y_title="share of the power", logarithmic=True,
            alt="Power of the images by spatial frequency, by run.",
        )  # fmt: skip
        _draw(chart, "spectrum", sides)


def _classes(side: Side, count: int) -> list[int]:
    """The class that the teacher sees in each image; all alike where it has no classes."""
    seen = (side.portrait or {}).get("classes")
    return [0] * count if seen is None else [int(c) for c in seen]


def _shares(side: Side) -> list[float] | None:
    if side.portrait is None or "classes" not in side.portrait:
        return None
    classes = side.portrait["classes"].tolist()
    count = len(side.portrait["class_probability"])
    return [classes.count(c) / len(classes) for c in range(count)]


def _class_names(sides: Sequence[Side]) -> list[str]:
    try:
        models = load_catalog()["models"]
    except (RuntimeError, OSError, KeyError):
        return []
    wanted = sides[0].run.recipe.model
    return next((list(m.get("class_names", [])) for m in models if m["name"] == wanted), [])


def _logs(grid: Any) -> list[list[float | None]]:
    return [[math.log10(max(v, 1e-6)) if v == v else None for v in row] for row in grid.tolist()]


def _plain(grid: Any) -> list[list[float | None]]:
    return [[v if v == v else None for v in row] for row in grid.tolist()]


def _draw(chart: LiveFigure, name: str, sides: Sequence[Side]) -> None:
    key = f"{name}-" + "-".join(side.run.run_id[-8:] for side in sides)
    # The offset tells the chart that there is more to draw than when it was drawn before.
    read = sum(side.run.events_file.stat().st_size for side in sides)
    mount.live_plot(chart, key=key, run=sides[0].run.run_id, offset=read)
