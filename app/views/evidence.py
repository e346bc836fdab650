"""Can I believe it? Our own recipe first, then what the papers claim, then the words."""

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from app.panels.evidence import ablation as recipe
from app.panels.evidence import advice as doctor
from app.panels.evidence.claims import claims_table
from app.panels.evidence.effects import (
    command,
    heading,
    network_title,
    numbers,
    quantizer_heading,
)
from app.panels.evidence.glossary import glossary
from app.panels.shared.url_menu import buttons
from app.run_files.run_folders import ablation, advice, effects, quantizer_effects
from app.text import explain
from engine.run.benches.effects.images.claims import CIFAR, CLAIMS, ON_CIFAR
from engine.run.benches.effects.quantizers.claims import QUANTIZER_CLAIMS

RECIPE, QUANTIZERS, ADVICE, WORDS = "quantoscope", "quantizers", "advice", "words"
OVER_SEEDS = ": mean ± standard deviation over the seeds"
Draw = Callable[[Mapping[str, Any]], None]
DATA = {CLAIMS[0].network: "Fashion-MNIST", CIFAR: "CIFAR-10"}


def foot(
    result: Mapping[str, Any], concept: str, numbers: Draw, command: Draw, *, of: str = ""
) -> None:
    """Closed, below what is drawn: every number, and how it is measured again."""
    with st.expander(f"All numbers{of}"):
        numbers(result)
    with st.expander("How is this measured, and how is it measured again?"):
        st.markdown(explain(concept))
        command(result)


def claims(result: Mapping[str, Any]) -> None:
    """What the papers claim of the images that their methods make."""
    st.header("Does each method do what its paper claims?", anchor=False, help=explain("effects"))
    wanted = ON_CIFAR if result["claims"][0]["network"] == CIFAR else CLAIMS
    claims_table(result, wanted)
    heading(result)
    foot(result, "effects", numbers, command, of=OVER_SEEDS)


def quantizer_claims(result: Mapping[str, Any]) -> None:
    """What the papers claim of their quantizers."""
    help_ = explain("quantizer-effects")
    st.header("Does each quantizer do what its paper claims?", anchor=False, help=help_)
    claims_table(result, QUANTIZER_CLAIMS)
    quantizer_heading(result)
    foot(result, "quantizer-effects", numbers, command, of=OVER_SEEDS)


def own_recipe(result: Mapping[str, Any]) -> None:
    """What each part of the quantizer that the app starts with is worth."""
    st.header("What does each part of our own recipe earn?", anchor=False, help=explain("ablation"))
    recipe.heading(result)
    recipe.cards(result)
    foot(result, "ablation", recipe.numbers, recipe.command)


def doctors_advice(result: Mapping[str, Any]) -> None:
    """How good the doctor's predictions are."""
    st.header("Does the doctor predict what a change gains?", anchor=False, help=explain("advice"))
    doctor.heading(result)
    left, right = st.columns([3, 2], gap="large")
    with left:
        doctor.picture(result)
    with right:
        doctor.rules(result)
    foot(result, "advice", doctor.numbers, doctor.command)


st.title("Can I believe it?", anchor=False)
results = {result["claims"][0]["network"]: result for result in effects()}
earned = ablation()
titles = {RECIPE: "Our own recipe"} if earned else {}
titles |= {one: f"The papers' images, on {DATA.get(one, network_title(one))}" for one in results}
quantized = quantizer_effects()
titles |= {QUANTIZERS: "The papers' quantizers"} if quantized else {}
asked = advice()
titles |= {ADVICE: "The doctor's advice"} if asked else {}
if not titles:
    st.info("Nothing is measured in this installation yet.")
titles[WORDS] = "The words"
chosen = buttons("What to look at", titles, "of", label_visibility="collapsed")
if chosen in results:
    claims(results[chosen])
elif chosen == QUANTIZERS and quantized is not None:
    quantizer_claims(quantized)
elif chosen == RECIPE and earned is not None:
    own_recipe(earned)
elif chosen == ADVICE and asked is not None:
    doctors_advice(asked)
else:
    glossary()
