"""What each layer of a finished run costs the whole network: asked for with a button, then kept."""

from typing import Any

import streamlit as st

from app.background import LOOK_AGAIN_S
from app.charts import layer_costs as charts
from app.components import mount
from app.diagnoses import layer_cost
from app.text import explain
from engine.run.folder import RunFolder

DEFINITION = (
    "Everything stays quantized but one layer. **Gain**: how much nearer the student's answers then come to "
    "the teacher's (KL divergence). The higher the bar, the more that layer's bits cost; below 0 its error "
    "makes up for another's."
)
CLEAR = 1.5  # so many times the other's gain: one of weights and input is to blame


def layer_costs_panel(folder: RunFolder) -> None:
    """The button, then the wait, then the chart; the answer is kept in the run's folder."""
    if folder.result() is None:
        return
    st.subheader("What does each layer cost?", help=explain("layer-costs"))
    with st.container():
        _answer(folder)


def _answer(folder: RunFolder) -> None:
    answer = layer_cost(folder, wanted=False)
    if answer is None:
        st.caption(
            "Each layer in turn is made float again, and the student judged: some seconds to minutes, beside "
            "whatever else you do here."
        )
        if not st.button(
            "What does each layer cost?", icon=":material/troubleshoot:", key="layer-costs"
        ):
            return
        answer = layer_cost(folder, wanted=True)
    if answer is not None and answer.error:
        st.error(answer.error)
    elif answer is None or answer.is_pending:
        _wait(folder)
    else:
        _shown(folder, answer.value)


@st.fragment(run_every=LOOK_AGAIN_S)
def _wait(folder: RunFolder) -> None:
    """Look again until every layer has been left out once."""
    answer = layer_cost(folder, wanted=False)
    if answer is None or not answer.is_pending:
        st.rerun()
    st.info(
        "One layer after another is made float again and judged.", icon=":material/hourglass_top:"
    )


def _shown(folder: RunFolder, found: dict[str, Any]) -> None:
    st.markdown(cost_words(found))
    mount.live_plot(
        charts.gains(found), key=f"layer-costs-{folder.run_id}", run=folder.run_id, offset=0
    )
    st.caption(
        f"{DEFINITION} In nats, of {found['kl']:.4g} with all quantized, on {found['images']:,} images "
        f"({found['test_set']}). Gains need not add up to that."
    )


def cost_words(found: dict[str, Any]) -> str:
    """The layer whose bits cost most, and whether its weights or its input are to blame."""
    worst = max(found["layers"], key=lambda layer: float(layer["kl_gain"]))
    gain, whole = worst["kl_gain"], found["kl"]
    if whole <= 0 or gain <= 0:
        return "No single layer made float again brings the student nearer to its teacher."
    parts = {"weights": worst.get("weights_kl_gain"), "input": worst.get("input_kl_gain")}
    known = {name: part for name, part in parts.items() if part is not None}
    blame = ""
    if len(known) == 2:
        more, less = sorted(known, key=lambda name: -known[name])
        told = f"({known[more]:.3g} by its {more} alone, {known[less]:.3g} by its {less})"
        clear = known[more] > CLEAR * max(known[less], 0)
        blame = f" Mostly its {more} {told}." if clear else f" Weights and input cost alike {told}."
    return (
        f"**{worst['path']}** costs most: float again it takes away {gain / whole:.0%} of the student's "
        f"distance from the teacher (KL {gain:.3g} of {whole:.3g}).{blame}"
    )
