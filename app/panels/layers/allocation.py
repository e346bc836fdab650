"""Where the bits went, for a run that chose them by measuring."""

from itertools import pairwise
from typing import Any

import streamlit as st

from app.charts import allocation as charts
from app.components import mount
from app.history import History
from app.text import explain
from engine.run.folders.folder import RunFolder
from engine.run.uniform_budget import cost_words, fits, rival


def allocation_panel(folder: RunFolder, history: History) -> None:
    """The front with the chosen point, the bits of every layer, and a sentence on what they are worth."""
    chosen = history.last("bits-chosen")
    if chosen is None:
        return
    report = charts.in_todays_words(chosen["report"])
    st.subheader("Where did the bits go?", help=explain("allocation"))
    st.markdown(allocation_words(report))
    if report.get("additivity"):
        st.markdown(additivity_words(report["additivity"]))
    left, right = st.columns([2, 3], gap="medium")
    with left:
        mount.live_plot(
            charts.front(report), key=f"front-{folder.run_id}", run=folder.run_id, offset=0
        )
    with right:
        figure = charts.bits(chosen["weight_bits"], report, chosen.get("activation_bits"))
        mount.live_plot(figure, key=f"bits-{folder.run_id}", run=folder.run_id, offset=0)


def allocation_words(report: dict[str, Any]) -> str:
    """Whether the chosen bits are nearer to the teacher than what the budget buys for every layer alike.

    Both are measured with all layers rounded to nearest together, before any reconstruction.
    """
    mine, other = report["chosen"]["kl_together"], rival(report)
    how = {
        "exact": "exact" if report["exact"] else "nearly exact",
        "integer": "exact, by an integer programme",
    }
    solver = how.get(report["solver"], report["solver"])
    spent = f"{report['chosen']['cost'] / max(report['budget'], 1):.1%} of the budget is spent ({solver})."
    if other is None:
        return f"All layers rounded together, the answers are KL {mine:.3g} away from the teacher's. {spent}"
    theirs, alike = other["kl_together"], f"{other['weight_bits']} bits in every layer"
    if not fits(report, other):
        return (
            f"All layers rounded together, the answers are KL {mine:.3g} away from the teacher's. {spent} "
            f"With {alike}{cost_words(report, other)}, they are {theirs:.3g} away."
        )
    together = f"KL {mine:.3g} instead of {theirs:.3g} with {alike}{cost_words(report, other)}"
    if mine >= theirs:
        how_far = "as far from" if mine == theirs else "further from"
        return (
            f"**No gain**: all layers rounded together, the answers are {how_far} the teacher's: {together}. "
            f"The sum of sensitivities promised more than all layers at once keep. {spent}"
        )
    return (
        f"All layers rounded together, the answers come **{1 - mine / theirs:.0%} nearer** to the "
        f"teacher's: {together}. {spent}"
    )


ALIKE = 1.25  # a factor below which the sum is as good as the measurement


def additivity_words(points: list[dict[str, Any]]) -> str:
    """Whether sensitivities measured one layer at a time add up to what all layers do at once."""
    mine = next((one for one in points if one["chosen"]), points[-1])
    ratio, ratios = mine["ratio"], [one["ratio"] for one in points]
    if ratio > ALIKE:
        verdict = "the layers' errors make each other worse"
    elif ratio < 1 / ALIKE:
        verdict = "the layers' errors partly cancel"
    else:
        verdict = "nearly the same"
    falling = all(one["kl_together"] >= other["kl_together"] for one, other in pairwise(points))
    along = (
        "more budget was better each time"
        if falling
        else "more budget was **not** always better, so small steps along the line mean little"
    )
    return (
        f"Do the sensitivities add up? One layer at a time: {mine['sensitivity']:.3g} in all; all at once "
        f"it is {mine['kl_together']:.3g}, **{ratio:.2g} times** as much: {verdict}. At the {len(points)} "
        f"points tried along the line the factor is {min(ratios):.2g} to {max(ratios):.2g}, and {along}."
    )
