"""The report: one HTML file of a finished run that opens anywhere, drawn by the charts of the pages.

It is composed here because charts live in the app, and no engine imports them; the command line asks for
it as pages ask the engine: through a process of its own, `python -m app.report`. Neither Streamlit nor torch
is imported.
"""
