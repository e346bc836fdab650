"""Which tab of a run is open: the one chosen, else that of the stage at work."""

import streamlit as st

from app.presets import USUAL
from app.run_files.history import History
from app.run_files.run_folders import is_live
from engine.run.folders.folder import RunFolder
from engine.run.recipes.recipe import Recipe

STAGE_TABS = {"synthesis": "images", "quantization": "layers", "evaluation": "answers"}
TABS = tuple(STAGE_TABS.values())
OF_IMAGES = ("step", "image")  # of an address without a tab: what only the images have


def tab_of(folder: RunFolder, history: History) -> str:
    """The tab of the address; else that of what the address names; else that of the stage at work.

    Who has watched the stages until the run's end stays where the last of them was.
    """
    asked = st.query_params.get("tab", "")
    if asked in TABS:
        return asked
    if any(name in st.query_params for name in OF_IMAGES):
        return "images"
    followed: dict[str, str] = st.session_state.setdefault("followed-tabs", {})
    if is_live(folder):
        followed[folder.run_id] = at_work(folder.recipe, history)
    return followed.get(folder.run_id) or at_rest(folder.recipe)


def at_work(recipe: Recipe, history: History) -> str:
    """The tab of the stage at work; before the quantizer of a recipe that is about it, its layers already."""
    stages = [event["stage"] for event in history.of("stage-started")]
    tab = next((STAGE_TABS[one] for one in reversed(stages) if one in STAGE_TABS), "images")
    return "layers" if tab == "images" and is_about_quantizer(recipe) else tab


def at_rest(recipe: Recipe) -> str:
    """The tab on which a run opens that nothing is at work on."""
    return "layers" if is_about_quantizer(recipe) else "answers"


def is_about_quantizer(recipe: Recipe) -> bool:
    """Whether a recipe's point is its quantizer: it is not the usual one, or no image grows."""
    return recipe.quantization != USUAL["quantization"] or not recipe.synthesis_settings.get(
        "steps"
    )
