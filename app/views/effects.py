"""Does each method do what its paper claims? Directions, measured seed by seed, one network set at a time."""

import streamlit as st

from app.panels.effects import cards, command, heading, missing, numbers, title
from app.places import effects
from app.text import explain
from engine.run.benches.claims import CLAIMS, ON_CIFAR

st.title("Does each method do what its paper claims?")
results = effects()
if not results:
    st.info("Nothing is measured yet. This measures it:")
    command()
    st.stop()

for result in results:
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
for result in results:
    command(result)
