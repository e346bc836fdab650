"""Can I believe it? Our own recipe first, then what the papers claim, then the words."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from app.panels.evidence import ablation as recipe
from app.panels.evidence.claims import claims_table
from app.panels.evidence.effects import command, heading, numbers
from app.panels.evidence.glossary import glossary
from app.panels.url_menu import buttons
from app.run_folders import ablation, effects
from app.text import explain
from engine.run.benches.claims import CIFAR, CLAIMS, ON_CIFAR

RECIPE, WORDS = "recipe", "words"
FASHION = CLAIMS[0].network
TITLES = {
    RECIPE: "Our own recipe",
    FASHION: "The papers' claims, on Fashion-MNIST",
    CIFAR: "The papers' claims, on CIFAR-10",
    WORDS: "The words",
}


def claims(result: Mapping[str, Any]) -> None:
    """What the papers claim of the images that their methods make."""
    st.header("Does each method do what its paper claims?", anchor=False, help=explain("effects"))
    wanted = ON_CIFAR if result["claims"][0]["network"] == CIFAR else CLAIMS
    claims_table(result, wanted)
    heading(result)
    with st.expander("All numbers: mean ± standard deviation over the seeds"):
        numbers(result)
    with st.expander("How is this measured, and how is it measured again?"):
        st.markdown(explain("effects"))
        command(result)


def own_recipe(result: Mapping[str, Any] | None) -> None:
    """What each part of the quantizer that the app starts with is worth."""
    st.header("What does each part of our own recipe earn?", anchor=False, help=explain("ablation"))
    if result is None:
        st.info("Our own recipe is not measured in this installation.")
        return
    recipe.heading(result)
    recipe.cards(result)
    with st.expander("All numbers"):
        recipe.numbers(result)
    with st.expander("How is this measured, and how is it measured again?"):
        st.markdown(explain("ablation"))
        recipe.command(result)


st.title("Can I believe it?", anchor=False)
results = {result["claims"][0]["network"]: result for result in effects()}
there = {name: title for name, title in TITLES.items() if name in (RECIPE, WORDS, *results)}
chosen = buttons("What to look at", there, "of", label_visibility="collapsed")
if chosen in results:
    claims(results[chosen])
elif chosen == WORDS:
    glossary()
else:
    own_recipe(ablation())
