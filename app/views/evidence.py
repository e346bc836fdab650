"""Does each method do what its paper claims? Directions, measured seed by seed, one network set at a time."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from app.panels.evidence import ablation as recipe
from app.panels.evidence.effects import cards, command, heading, missing, numbers, title
from app.panels.url_menu import buttons
from app.run_folders import ablation, effects
from app.text import explain
from engine.run.benches.claims import CIFAR, CLAIMS, ON_CIFAR

OWN = "quantoscope"
SHORT = {CLAIMS[0].network: "On Fashion-MNIST", CIFAR: "On CIFAR-10", OWN: "Our own recipe"}


def claims(result: Mapping[str, Any]) -> None:
    """What the papers claim of the images that their methods make."""
    st.header(title(result))
    heading(result)
    st.subheader("Which claims should a small network show too?", help=explain("effects"))
    cards(result, asserted=True)
    st.subheader("And what else was measured?", help="Reported as it comes out, whatever it is.")
    cards(result, asserted=False)
    wanted = (
        ON_CIFAR if {row["network"] for row in result["claims"]} & {ON_CIFAR[0].network} else CLAIMS
    )
    missing(result, [claim.name for claim in wanted])
    with st.expander("All numbers: mean ± standard deviation over the seeds"):
        numbers(result)
    st.header("How is this measured, and how do I repeat it?")
    st.markdown(explain("effects"))
    command(result)


def own_recipe(result: Mapping[str, Any]) -> None:
    """What each part of the quantizer that the app starts with is worth."""
    st.header("What does each part of our own recipe earn?", help=explain("ablation"))
    recipe.heading(result)
    recipe.cards(result)
    with st.expander("All numbers"):
        recipe.numbers(result)
    st.header("How is this measured, and how do I repeat it?")
    st.markdown(explain("ablation"))
    recipe.command(result)


st.title("Does each method do what its paper claims?")
results = {result["claims"][0]["network"]: result for result in effects()}
earned = ablation()
titles = {one: SHORT.get(one, one) for one in [*results, *([OWN] if earned else [])]}
if not titles:
    st.info("Nothing is measured yet. This measures it:")
    command()
    st.stop()
chosen = (
    buttons("Measured on", titles, "of", label_visibility="collapsed")
    if len(titles) > 1
    else next(iter(titles))
)
if chosen == OWN and earned is not None:
    own_recipe(earned)
else:
    claims(results[chosen])
