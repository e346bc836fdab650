"""Arrays in, Plotly figures (plain dictionaries) out; no Streamlit, so that any reader may draw."""
