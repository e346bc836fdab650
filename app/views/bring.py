"""The address of *Bring your own*: a part of the page of the networks."""

import streamlit as st

st.switch_page("views/networks.py", query_params=st.query_params.to_dict() | {"own": "1"})
