"""Runs side by side over their syntheses: each function draws one question's answer for all of them."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from app.charts.images import compare as charts
from app.charts.panels import letter
from app.charts.style import LOG, SERIES, LiveFigure
from app.components import mount
from app.engine_calls.choices import title_of
from app.panels.shared.csv_button import csv_button
from app.panels.shared.url_menu import buttons
from app.run_files.run_notes import note_of
from app.wording.differences import changed
from app.wording.words import plain, recipe_words
from engine.core.percent import SIGN
from engine.run.folders.folder import RunFolder
from engine.run.questions.compare import Side, course, frame_at, gap_difference, gap_grid
from engine.run.recipes.recipe import Recipe

Labels = dict[tuple[str, str], str]  # of settings, by method and name
FIELDS_OF = {"model": "Network", "synthesis": "Images from", "quantization": "Quantizer"}
FIELDS = {
    "weight_bits": "Bits a weight",
    "activation_bits": "Bits an activation",
    "images": "Images",
    "seed": "Seed",
    "edge_rule": "Kept at 8 bits",
    "weights": "Own weights",
    "data": "Own test images",
    "forked_from": "Forked from",
}
MOST_TOLD = 4  # settings that differ are told at once; more of them on demand


def what_differs(sides: Sequence[Side], labels: Labels) -> None:
    """A letter a run, what it has otherwise than A, and every setting in which the recipes differ."""
    recipes = [side.run.recipe for side in sides]
    for k, (column, side) in enumerate(
        zip(st.columns(len(sides), gap="medium"), sides, strict=True)
    ):
        name = note_of(side.run).name or recipe_words(side.run.recipe)
        column.markdown(f"{coloured(k)} · {plain(name)}")
        if k:
            parts = changed(recipes[0], recipes[k], labels) or ["the same recipe"]
            told = [*parts[:MOST_TOLD], *(["…"] if len(parts) > MOST_TOLD else [])]
            column.caption(f"Unlike A: {plain(', '.join(told))}")
        column.page_link(
            "views/run.py", label=f"Open {letter(k)}", icon=":material/science:",
            query_params={"run": side.run.run_id},
        )  # fmt: skip
    rows = _unlike([_flat(recipe, labels) for recipe in recipes])
    with st.expander(f"What differs in their recipes ({len(rows)})"):
        if rows:
            table = pd.DataFrame(rows, index=[letter(k) for k in range(len(sides))]).T
            st.dataframe(table, width="stretch")
            told = table.reset_index(names="setting")
            csv_button(told, "-".join(side.run.run_id[-8:] for side in sides), "recipes")
        else:
            st.caption("Nothing: it is the same recipe.")


def _unlike(flat: list[dict[str, str]]) -> dict[str, list[str]]:
    names = dict.fromkeys(name for one in flat for name in one)
    rows = {name: [one.get(name, "–") for one in flat] for name in names}
    return {name: values for name, values in rows.items() if len(set(values)) > 1}


def coloured(k: int) -> str:
    """The letter of a side in Markdown, in the colour of its lines and bars."""
    return f':color[**{letter(k)}**]{{foreground="{SERIES[k % len(SERIES)]}"}}'


def _flat(recipe: Recipe, labels: Labels) -> dict[str, str]:
    """Every field and setting of a recipe, by its name on the pages."""
    fields = dataclasses.asdict(recipe)
    flat = {title: str(fields[name]) for name, title in FIELDS.items()}
    for kind in ("model", "synthesis", "quantization"):
        method = fields[kind]
        flat[FIELDS_OF[kind]] = title_of("models" if kind == "model" else kind, method)
        for name, value in fields[f"{kind}_settings"].items():
            label = labels.get((method, name), name.replace("_", " "))
            flat[f"{FIELDS_OF[kind]}: {label}"] = str(value)
    return flat


def common_axis(sides: Sequence[Side]) -> int:
    """What films, maps and lines share: so many steps, or 0 for the share of each run's own synthesis.

    A choice where the runs differ in their steps; where they do not, the steps say both.
    """
    longest = max(side.total for side in sides)
    if longest == 1 or len({side.total for side in sides if side.total > 1}) == 1:
        return longest if longest > 1 else 0
    told = ", ".join(
        f"{letter(k)} {side.total}" if side.total > 1 else f"{letter(k)} none"
        for k, side in enumerate(sides)
    )
    chosen = buttons(
        "Compare at the same", {"share": "share of the run", "step": "step"}, "axis",
        help=f"The runs differ in their steps ({told}). Share: each run from its own beginning to its own "
        "end. Step: after equally many steps; a shorter run stays at its finished images.",
    )  # fmt: skip
    return longest if chosen == "step" else 0


def films(sides: Sequence[Side], steps: int) -> None:
    """Every side's images at the same moment of the common axis, moved by one slider."""
    if steps:
        at: float = st.slider(
            "Step", 0, steps, steps, key=f"step-of-{steps}", bind="query-params",
            help="0 is the first picture kept; a run that has ended shows its finished images.",
        )  # fmt: skip
    else:
        at = st.slider(
            "Share of the synthesis", 0, 100, 100, format=f"%d{SIGN}%", key="share", bind="query-params",
            help="0 is the first picture kept, 100 the finished images.",
        )  # fmt: skip
    for k, (column, side) in enumerate(
        zip(st.columns(len(sides), gap="medium"), sides, strict=True)
    ):
        step = at if steps else at / 100 * side.total
        file = frame_at(side, step)
        if file is None or not side.run.snapshot(file).is_file():
            column.markdown(f"{coloured(k)} · no picture yet")
            continue
        column.image(side.run.snapshot(file).read_bytes(), width="stretch")
        column.caption(
            f"{coloured(k)} · {title_of('synthesis', side.run.recipe.synthesis)} · {_moment(side, step)}"
        )


def _moment(side: Side, step: float) -> str:
    if side.total == 1:
        return "no steps: taken as they are"
    return f"step {min(int(step + 1e-6), side.total)} of {side.total}"


def gap_maps(sides: Sequence[Side], steps: int) -> None:
    """The maps on one scale where the layers are the same, and each one's ratio to the first."""
    waiting = [letter(k) for k, side in enumerate(sides) if not side.begun]
    if waiting:
        has = "has" if len(waiting) == 1 else "have"
        st.caption(f"{joined(waiting)} {has} not begun: the maps come with the first images.")
        return
    if not any(side.layers for side in sides):
        st.caption("These networks have no BatchNorm layers: there is no gap to map.")
        return
    if len({tuple(side.layers) for side in sides}) > 1:
        st.caption("The networks have different layers: open each run's own map in the Live lab.")
        return
    st.caption(
        "The gap of each layer (rows, input on top): how far the images' statistics are from those that "
        "the layer stored. **Lower (darker) is nearer to the data that the network was trained on.**"
    )
    older = [letter(k) for k, side in enumerate(sides) if not side.gap_by]
    if older:
        st.caption(
            f"{joined(older)}: measured by an older version, in units of a layer's mean variance; now each "
            "channel counts in its own. Ratios are drawn of gaps that are measured alike."
        )
    grids = [_logs(gap_grid(side, steps)) for side in sides]
    draw(charts.gap_maps(sides[0].layers, grids, steps), "gap-maps", sides, steps)
    found = [gap_difference(sides[0], other, steps) for other in sides[1:]]
    differences = [_plain(one) for one in found if one is not None]
    names = [letter(k + 1) for k, one in enumerate(found) if one is not None]
    if not names:
        return
    st.markdown(
        f"**{joined(names)} against A**: the ratio of their gaps. Below 1 (blue), {joined(names, 'or')} is "
        "nearer to the teacher's statistics; above 1 (orange), A is; empty where one of them has no step."
    )
    draw(
        charts.gap_differences(sides[0].layers, differences, steps, names),
        "gap-ratios",
        sides,
        steps,
    )


def courses(sides: Sequence[Side], steps: int) -> None:
    """Mean gap, the teacher's confidence and the classes it sees, over the common axis."""
    lines = (
        ("gap", "Mean gap", "of all layers. **Lower: nearer to the training data.**", LOG),
        ("confidence", "Teacher's confidence", "mean of each image's largest probability. **Higher: surer.**",
         {"range": [0, 1.02], "tickformat": ".0%"}),
        ("class_spread", "Classes seen", "e to the entropy of the mean softmax. **Higher: more classes "
         "have images** in the batch at work.", {"rangemode": "tozero"}),
    )  # fmt: skip
    told = [(*line, [course(side, line[0], steps) for side in sides]) for line in lines]
    told = [line for line in told if any(one for one in line[-1])]
    for column, (name, title, words, up, found) in zip(
        st.columns(max(len(told), 1), gap="medium"), told, strict=False
    ):
        with column:
            st.caption(f"**{title}**: {words}")
            chart = charts.course(found, title.lower(), steps, alt=f"{title}, by run.", **up)
            draw(chart, f"course-{name}", sides, steps)


def joined(names: Sequence[str], word: str = "and") -> str:
    """The names as one phrase: A, B and C."""
    return " ".join([", ".join(names[:-1]), word, names[-1]]) if len(names) > 1 else names[0]


def _logs(grid: Any) -> list[list[float | None]]:
    return [[math.log10(max(v, 1e-6)) if v == v else None for v in row] for row in grid.tolist()]


def _plain(grid: Any) -> list[list[float | None]]:
    return [[v if v == v else None for v in row] for row in grid.tolist()]


def draw(chart: LiveFigure, name: str, sides: Sequence[Side], steps: int = 0) -> None:
    """The chart, drawn anew whenever one of the sides has more to tell."""
    key = f"{name}-{steps}-" + "-".join(side.run.run_id[-8:] for side in sides)
    # The offset tells the chart that there is more to draw than when it was drawn before.
    read = sum(_event_bytes(side.run) for side in sides)
    mount.live_plot(chart, key=key, run=sides[0].run.run_id, offset=read)


def _event_bytes(run: RunFolder) -> int:
    """Bytes of events; 0 where it has not begun."""
    return run.events_file.stat().st_size if run.events_file.exists() else 0
