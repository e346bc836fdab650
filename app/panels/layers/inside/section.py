"""What goes on inside one layer? What it reads, feature maps, its weights, float against quantized."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from app.panels.layers.inside.drawn import Found
from app.panels.layers.inside.inputs import layer_input
from app.panels.layers.inside.maps import feature_maps
from app.panels.layers.inside.pairs import value_pairs
from app.panels.layers.inside.weights import layer_weights
from app.panels.layers.provenance import Remedy, with_remedy
from app.panels.new_run.dialog import new_run_button
from app.panels.new_run.draft import recipe_fields
from app.panels.shared.ask_why import MOST_BITS, closed_question, has_most_bits
from app.panels.shared.csv_button import csv_button
from app.panels.shared.url_menu import buttons
from app.run_files.history import read_history
from app.text import explain
from app.wording.engine_words import page_text
from app.wording.words import plain
from engine.run.folders.folder import RunFolder
from engine.run.recipes.layer_bits import CHOOSES_ITSELF
from engine.run.recipes.recipe import Recipe

QUESTION = "tensors"
VIEWS = {
    "input": "What it reads", "maps": "Feature maps", "weights": "Its weights",
    "pairs": "Float against quantized",
}  # fmt: skip
DRAW: dict[str, Callable[[RunFolder, Found], pd.DataFrame]] = {
    "input": layer_input, "maps": feature_maps, "weights": layer_weights, "pairs": value_pairs,
}  # fmt: skip


def title_of(layer: str) -> str:
    """The question about one layer."""
    return f"What goes on inside {layer}? What it reads, feature maps, weights"


def tensors_section(folder: RunFolder, chosen: str, layers: int) -> bool:
    """The question about the chosen layer, closed until it is opened; whether an answer is awaited."""
    return closed_question(
        folder,
        QUESTION,
        title_of(chosen),
        layers,
        lambda found: _found(folder, found),
        layer=chosen,
    )


@st.fragment
def _found(folder: RunFolder, found: Found) -> None:
    """The views; to look from one to the next draws them alone."""
    there = {name: title for name, title in VIEWS.items() if name not in found or found[name]}
    view = buttons("Look at", there, "inside", label_visibility="collapsed")
    # Bundles of older versions have one sentence.
    said = found.get("sentences", {}).get(view, found["sentence"])
    st.markdown(f"**{plain(page_text(said))}**", help=explain(QUESTION))
    frame = DRAW[view](folder, found)
    with st.container(horizontal=True, vertical_alignment="center"):
        if view == "pairs" and may_correct(folder.recipe, found):
            _correction(folder)
        else:
            _remedy(folder, found, "weight_bits" if view == "weights" else "activation_bits")
        csv_button(
            frame, folder.run_id, f"{found['layer']}-{view}", key="tensors-csv",
            words="What is drawn above, as a table.",
        )  # fmt: skip
    for note in found["notes"]:
        st.caption(plain(page_text(note)))


def _remedy(folder: RunFolder, found: Found, kind: str) -> None:
    path = found["layer"]
    if folder.recipe.quantization in CHOOSES_ITSELF or has_most_bits(folder, path, kind):
        return
    of = "its weights" if kind == "weight_bits" else "its input"
    remedy = Remedy(path=path, kind=kind, label=f"Try {of} at {MOST_BITS} bits")
    new_run_button(
        remedy.label, key="tensors-try", wanted=with_remedy(folder.recipe, remedy),
        icon=":material/build:", help="Opens New run with this run's recipe and that one change.",
    )  # fmt: skip


def may_correct(recipe: Recipe, found: Found) -> bool:
    """Whether much of the output's error is a shift, and the run corrected neither biases nor BatchNorm."""
    given = recipe.quantization_settings
    corrects = given.get("bias_correction") or given.get("batchnorm", "none") != "none"
    return not corrects and bool(found["output"].get("is_shift"))


def correction(*, batchnorm: bool) -> tuple[str, dict[str, Any]]:
    """What a button offers against a shift, and its settings.

    Moving BatchNorm gives back the spread too, which few bits narrow; without one biases are left.
    """
    if batchnorm:
        return "Try it with BatchNorm corrected", {"batchnorm": "delta"}
    return "Try it with biases corrected", {"bias_correction": True}


def _correction(folder: RunFolder) -> None:
    has_any = bool(read_history(folder).started["bn_layers"])
    label, settings = correction(batchnorm=has_any)
    fields = recipe_fields(folder.recipe)
    fields["quantization_settings"] |= settings
    new_run_button(
        label, key="tensors-try", wanted=fields, icon=":material/build:",
        help="Opens New run with this run's recipe and that one change.",
    )  # fmt: skip
