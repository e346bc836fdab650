"""Can I believe it? Our own recipe first, then the papers' claims, seed by seed, and what the words mean."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from app.panels.evidence import ablation as recipe
from app.panels.evidence.effects import chips, command, heading, missing, numbers, opened, title
from app.panels.evidence.glossary import glossary
from app.panels.url_menu import buttons
from app.run_folders import ablation, effects
from app.text import explain
from engine.run.benches.claims import CIFAR, CLAIMS, ON_CIFAR

OWN, WORDS = "quantoscope", "words"
SHORT = {CLAIMS[0].network: "Papers' claims, Fashion-MNIST", CIFAR: "Papers' claims, CIFAR-10"}


def claims(result: Mapping[str, Any]) -> None:
    """What the papers claim of the images that their methods make: a table, one claim opened."""
    st.header(title(result))
    heading(result)
    st.subheader("Does each method do what its paper claims?", help=explain("effects"))
    row = chips(result)
    if row is not None:
        opened(row, result)
    wanted = (
        ON_CIFAR if {row["network"] for row in result["claims"]} & {ON_CIFAR[0].network} else CLAIMS
    )
    missing(result, [claim.name for claim in wanted])
    with st.expander("All numbers: mean ± standard deviation over the seeds"):
        numbers(result)
    with st.expander("How is this measured, and how do I repeat it?"):
        st.markdown(explain("effects"))
        command(result)


def own_recipe(result: Mapping[str, Any]) -> None:
    """What each part of the quantizer that the app starts with is worth."""
    st.header("What does each part of our own recipe earn?", help=explain("ablation"))
    recipe.heading(result)
    recipe.cards(result)
    with st.expander("All numbers"):
        recipe.numbers(result)
    with st.expander("How is this measured, and how do I repeat it?"):
        st.markdown(explain("ablation"))
        recipe.command(result)


st.title("Can I believe it?")
results = {result["claims"][0]["network"]: result for result in effects()}
earned = ablation()
titles = {OWN: "Our own recipe"} if earned else {}
titles |= {one: SHORT.get(one, one) for one in results} | {WORDS: "What the words mean"}
if not earned and not results:
    st.info("Nothing is measured yet. This measures it:")
    command()
chosen = buttons("Show", titles, "of", label_visibility="collapsed")
if chosen == WORDS:
    glossary()
elif chosen == OWN and earned is not None:
    own_recipe(earned)
else:
    claims(results[chosen])
