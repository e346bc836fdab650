"""`python -m tests.app.serve run app/serve.py ...`: Streamlit for tests in a browser; no pace is measured.

The paces of all cards take a minute of every core, for each server that a test starts.
"""

from streamlit.web import cli

from engine.run.questions.before_a_run import estimate
from tests.app.known_pace import PACE

if __name__ == "__main__":
    estimate.kept_pace = lambda runs, recipe: PACE
    cli.main()
