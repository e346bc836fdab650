"""Bits layer by layer, as a table to write into: the recipe takes what is unlike its own bits."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from app.engine_calls.diagnoses import diagnosis
from app.engine_calls.recipes import recipe_of
from app.panels.new_run.draft import Draft
from app.wording.engine_words import page_text
from engine.core.errors import UserError
from engine.run.questions.before_a_run.diagnose import layers_with_bits
from engine.run.recipes.checks import BITS, weight_bits_of
from engine.run.recipes.layer_bits import CHOOSES_ITSELF
from engine.run.recipes.recipe import find

KINDS = {"weight_bits": "Weights", "activation_bits": "Input"}
ROW_PX, AT_ONCE = 36, 12


def bits_table(catalog: dict[str, Any], draft: Draft) -> None:
    """A row a layer with its bits; those that were changed go into the draft."""
    if draft.wanted["quantization"] in CHOOSES_ITSELF:
        st.caption("This quantizer chooses each layer's bits itself, from a budget.")
        return
    if draft.wanted["weights"] or draft.wanted["data"]:
        st.caption("Layers of a network with files of one's own are listed on the page Networks.")
        return
    try:
        recipe = recipe_of(catalog, **draft.complete() | {"quantization_settings": {}})
    except (UserError, OSError) as error:
        st.caption(page_text(error))
        return
    answer = diagnosis(recipe)
    if answer.value is None:
        st.caption(
            page_text(answer.error) if answer.error else "The network's layers are being listed…"
        )
        return
    quantizer = find(catalog, "quantization", draft.wanted["quantization"])
    limits = {"Weights": weight_bits_of(quantizer), "Input": BITS}
    _editor(layers_with_bits(answer.value, recipe), draft, limits)


def _editor(
    layers: Sequence[dict[str, Any]], draft: Draft, limits: dict[str, tuple[int, int]]
) -> None:
    wanted = draft.wanted
    about = (wanted["model"], wanted["weight_bits"], wanted["activation_bits"], wanted["edge_rule"])
    key = f"new-{draft.number}-bits-{'-'.join(map(str, about))}"
    # The table must stay as it was handed over: what is written into it is kept beside it.
    given = st.session_state.setdefault(f"{key}-given", draft.bits)
    rows = pd.DataFrame(
        {"Layer": [layer["path"] for layer in layers]}
        | {
            title: [given.get(kind, {}).get(layer["path"], layer[kind]) for layer in layers]
            for kind, title in KINDS.items()
        }
    ).astype(dict.fromkeys(KINDS.values(), "Int64"))
    number: dict[str, dict[str, Any]] = {
        title: {"min_value": low, "max_value": high, "step": 1, "width": "small"}
        for title, (low, high) in limits.items()
    }
    edited = st.data_editor(
        rows, key=key, hide_index=True, disabled=["Layer"], num_rows="fixed", placeholder="the image",
        height=ROW_PX * (1 + min(len(layers), AT_ONCE)),
        column_config={
            "Weights": st.column_config.NumberColumn(help="Bits of the layer's weights", **number["Weights"]),
            "Input": st.column_config.NumberColumn(
                help="Bits of the layer's input. Layers that read the same input need the same bits.",
                **number["Input"],
            ),
        },
    )  # fmt: skip
    draft.bits = unlike(layers, edited.to_dict("records"))
    count = len({path for named in draft.bits.values() for path in named})
    if count:
        st.caption(
            f":orange[{count} {'layer has' if count == 1 else 'layers have'} bits of their own.]"
        )


def unlike(
    layers: Sequence[dict[str, Any]], rows: Sequence[dict[Any, Any]]
) -> dict[str, dict[str, int]]:
    """The bits that differ from the recipe's, by kind and layer; {} where none does.

    An emptied cell is as the recipe has it, and so is the input that is the image.
    """
    found: dict[str, dict[str, int]] = {kind: {} for kind in KINDS}
    for layer, row in zip(layers, rows, strict=True):
        for kind, title in KINDS.items():
            own, written = layer[kind], row[title]
            if own is not None and not pd.isna(written) and int(written) != own:
                found[kind][layer["path"]] = int(written)
    return found if any(found.values()) else {}
