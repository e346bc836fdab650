"""Where errors come from: of the selected layer as a waterfall with what to do first, of all as bars."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from app.charts.why import provenance as charts
from app.components import mount
from app.panels.new_run.dialog import new_run_button
from app.panels.new_run.draft import recipe_fields
from app.panels.new_run.variants import layer_at
from app.panels.shared.ask_why import MOST_BITS, ask_for, has_most_bits, known, why_unanswered
from app.panels.shared.csv_button import csv_button
from app.panels.shared.room import room
from app.text import explain
from app.wording.engine_words import page_text
from app.wording.words import plain
from engine.run.folders.folder import RunFolder
from engine.run.recipes.layer_bits import CHOOSES_ITSELF, SETTING
from engine.run.recipes.recipe import Recipe

QUESTION = "explain"
TITLE = "Where does this layer's error come from?"
BESIDE_PX = 250  # of two lines beside the buttons
HEIGHT_REM = 23.0  # of title, sentence, waterfall and button: kept free while nobody has asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """What to try first: more bits for a layer's weights or its input, or for all layers (no path)."""

    path: str
    kind: str  # weight_bits or activation_bits
    label: str


def layer_provenance(folder: RunFolder, path: str, layers: int) -> None:
    """The sentence, the waterfall and the button for one layer; before it is asked, the question.

    Nothing where it cannot be asked: the tab says why at its end.
    """
    if why_unanswered(folder, QUESTION):
        return
    found = known(folder, QUESTION)
    with room("provenance", HEIGHT_REM):
        st.subheader(TITLE, help=explain("provenance"))
        if found is None:
            ask_for(folder, QUESTION, layers)
        else:
            _of_layer(folder, found, path)


def _of_layer(folder: RunFolder, found: dict[str, Any], path: str) -> None:
    row = next((one for one in found["layers"] if one["path"] == path), None)
    if row is None:
        st.caption("This layer was not quantized: there is no error to split.")
        return
    st.markdown(f"`{path}`: {plain(row['verdict'])}")
    if row["share"] is not None:
        place = f"provenance-{folder.run_id}"
        mount.live_plot(
            charts.waterfall(row), key=place, name=f"waterfall-{path}", run=folder.run_id, offset=0
        )
    with st.container(horizontal=True, vertical_alignment="center"):
        remedy = remedy_for(found, path, folder)
        if isinstance(remedy, str):
            st.caption(remedy)
        else:
            new_run_button(
                remedy.label, key="provenance-try", wanted=with_remedy(folder.recipe, remedy),
                icon=":material/build:", help="Opens New run with this run's recipe and that one change.",
            )  # fmt: skip
        words = "Where the error of every layer comes from, as a table."
        csv_button(table(found), folder.run_id, "provenance", words=words)
        read = f"{charts.decibels(row)}; {found['images']:,} images ({plain(found['image_set'])})."
        st.caption(read, width=BESIDE_PX)
    for note in found["notes"]:
        st.caption(page_text(note))


def all_provenance(folder: RunFolder, found: dict[str, Any], chosen: str) -> str | None:
    """The bars of all layers under the network's sentence; returns the layer just clicked on."""
    st.markdown(plain(found["sentence"]))
    figure = charts.stacked(found["layers"], chosen)
    place = f"provenance-all-{folder.run_id}"
    picked: str | None = mount.live_plot(
        figure, key=place, name=f"stacked-{chosen}", run=folder.run_id, offset=0, pick="category"
    )
    return picked


def table(found: dict[str, Any]) -> pd.DataFrame:
    """A row a layer: its shares, both SQNRs, the earlier layer most of it came from, and the reading."""
    return pd.DataFrame(
        [
            {"layer": row["path"]}
            | {part: (row["share"] or {}).get(part) for part in charts.PARTS}
            | {name: row[name] for name in ("sqnr_local_db", "sqnr_accumulated_db", "origin")}
            | {"origin_gain": row["origin_gain"], "reading": row["verdict"]}
            for row in found["layers"]
        ]
    )


def remedy_for(found: Mapping[str, Any], path: str, folder: RunFolder) -> Remedy | str:
    """What the sentence of a layer says to try, as a button; or why there is nothing to press."""
    rows, recipe = {row["path"]: row for row in found["layers"]}, folder.recipe
    row = rows[path]
    if row["share"] is None or charts.is_small(row):
        return "There is nothing to mend here."
    if recipe.quantization in CHOOSES_ITSELF:
        return "This quantizer spends a budget of bits itself: give it more in New run."
    largest = max(row["share"], key=lambda part: float(row["share"][part]))
    if largest == "interaction":
        return "Measure first what each layer costs: the button is above the bars."
    if largest == "inherited" and not row["origin"]:
        more = min(MOST_BITS, recipe.weight_bits + 1)
        return Remedy(path="", kind="", label=f"Try all layers at {more} bits")
    target = rows.get(row["origin"], row) if largest == "inherited" else row
    kind = _to_blame(target)
    if has_most_bits(folder, target["path"], kind):
        what = "weights have" if kind == "weight_bits" else "input has"
        return (
            f"The {what} {MOST_BITS} bits at {target['path']}: try another range rule or quantizer."
        )
    of = "" if kind == "weight_bits" else "the input of "
    return Remedy(
        path=target["path"], kind=kind, label=f"Try {of}{target['path']} at {MOST_BITS} bits"
    )


def _to_blame(row: Mapping[str, Any]) -> str:
    """Whether a layer's own weights or the grid of its input do more of its error."""
    share = row["share"] or {"weights": 1.0, "activations": 0.0}
    return "activation_bits" if share["activations"] > share["weights"] else "weight_bits"


def with_remedy(recipe: Recipe, remedy: Remedy) -> dict[str, Any]:
    """The run's recipe with that one change, as the New run dialog takes it."""
    if not remedy.path:
        more = {
            name: min(MOST_BITS, getattr(recipe, name) + 1)
            for name in ("weight_bits", "activation_bits")
        }
        return recipe_fields(recipe) | more
    if remedy.kind == "weight_bits":
        return layer_at(recipe, remedy.path, MOST_BITS)
    fields = recipe_fields(recipe)
    given = fields["quantization_settings"].get(SETTING) or {}
    inputs = dict(given.get("activation_bits") or {}) | {remedy.path: MOST_BITS}
    fields["quantization_settings"] |= {SETTING: given | {"activation_bits": inputs}}
    return fields
