"""The dialog of a new run, from anywhere: with the usual recipe, or with that of another run to change."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import streamlit as st

from app.choices import load_catalog
from app.panels.new_run.filled import fill
from app.panels.new_run.form import recipe_form
from app.words import plain
from engine.run.recipes.recipe import Recipe

ASKED = "new-run-asked"  # in the session: the fields that the dialog shall open with


def new_run_button(
    label: str = "New run", *, key: str, wanted: Mapping[str, Any] | None = None, **more: Any
) -> None:
    """A button that opens the dialog with these fields of a recipe; the usual ones without any."""
    if st.button(label, key=key, **{"icon": ":material/add:"} | more):
        new_run(wanted)


def new_run(wanted: Mapping[str, Any] | None = None) -> None:
    """Open the dialog; `wanted` holds what make_recipe takes, all else is as usual."""
    try:
        fill(load_catalog(), wanted or {})
    except (RuntimeError, OSError) as error:
        st.error(f"The engine could not say what it has. {plain(error)}")
        return
    _dialog()


def fields_of(recipe: Recipe, **changed: Any) -> dict[str, Any]:
    """A run's recipe as fields to begin a new one with, some of them changed."""
    fields = asdict(recipe)
    for name in ("contents", "forked_from"):
        fields.pop(name)
    return fields | changed


@st.dialog("New run", width="large", icon=":material/add:")
def _dialog() -> None:
    recipe_form(load_catalog())
