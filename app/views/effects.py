"""Does each method do what its paper claims? Directions, measured seed by seed."""

import streamlit as st

from app.panels.effects import cards, command, heading, missing, numbers
from app.places import effects
from app.text import explain
from engine.run.benches.claims import CLAIMS

st.title("Does each method do what its paper claims?")
result = effects()
if result is None:
    st.info("Nothing is measured yet. This measures it:")
    command()
    st.stop()

heading(result)
st.subheader("Which claims should a small network show too?", help=explain("effects"))
cards(result, asserted=True)
st.subheader("And what else was measured?", help="Reported as it comes out, whatever it is.")
cards(result, asserted=False)
missing(result, [claim.name for claim in CLAIMS])
with st.expander("All numbers: mean ± standard deviation over the seeds"):
    numbers(result)
st.subheader("How is this measured, and how do I repeat it?")
st.markdown(explain("effects"))
command(result)
