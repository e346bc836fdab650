"""Runs are compared on the page Runs; this address leads there."""

import streamlit as st

st.switch_page("views/runs.py", query_params=st.query_params.to_dict())
