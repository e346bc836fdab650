"""Plotly's script as all charts run it: a percent is written there as everywhere else."""

from functools import cache
from importlib.resources import files

from engine.core.percent import SIGN

# What d3-format writes behind a percent, unless its locale has a word for it: Plotly passes none on.
_USUAL, _OURS = '.percent===void 0?"%":', f".percent===void 0?{SIGN!a}:"


@cache
def plotly_script() -> str:
    """The whole script, about four megabytes."""
    text = files("plotly").joinpath("package_data", "plotly.min.js").read_text(encoding="utf-8")
    return text.replace(_USUAL, _OURS)
