"""What each layer of a finished run costs the whole network: asked for with a button, then kept."""

from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from app.charts.layers import layer_costs as charts
from app.components import mount
from app.engine_calls.diagnoses import layer_cost
from app.panels.shared.csv_button import csv_button
from app.panels.shared.folded import folded
from app.panels.shared.press import button
from app.panels.shared.url_menu import buttons
from app.wording.engine_words import page_text
from app.wording.words import plain
from engine.core.percent import BAND, percent
from engine.run.folders.folder import RunFolder

DEFINITIONS = {
    "kl": "how much nearer the student's answers then come to the teacher's (KL divergence, in nats)",
    "agreement": "how many more of the images both then give the same class",
    "top1": "how many more of the images the student then has right",
}
DIRECTION = (
    "The higher the bar, the more that layer's bits cost; below 0 its error makes up for another's."
)
BANDS = (
    f"The lines are {BAND} bands, paired, as the images are the same: where one holds 0, the gain may be "
    "chance. "
)
CLEAR = 1.5  # so many times the other's gain: one of weights and input is to blame


def costs_of(folder: RunFolder) -> dict[str, Any] | None:
    """What each layer was measured to cost; None where it is not known (yet)."""
    answer = layer_cost(folder, wanted=False) if folder.result() is not None else None
    return answer.value if answer is not None and not answer.error else None


def costs_are_pending(folder: RunFolder) -> bool:
    """Whether they are being measured now."""
    answer = layer_cost(folder, wanted=False) if folder.result() is not None else None
    return answer is not None and answer.is_pending


def ask_costs(folder: RunFolder) -> None:
    """The button, then the wait; what came of it is kept in the run's folder."""
    answer = layer_cost(folder, wanted=False)
    if answer is None:
        words = (
            "Each layer in turn is made float again, and the student judged: some seconds to minutes, beside "
            "whatever else you do here."
        )
        if not button(
            "What does each layer cost?",
            icon=":material/troubleshoot:",
            key="layer-costs",
            help=words,
        ):
            return
        layer_cost(folder, wanted=True)
        st.rerun()  # so that whoever looks again is drawn
    if answer.error:
        st.error(page_text(answer.error))
    elif answer.is_pending:
        st.info(
            "One layer after another is made float again and judged.",
            icon=":material/hourglass_top:",
        )
    else:
        st.rerun()


def cost_chart(folder: RunFolder, found: dict[str, Any], chosen: str) -> str | None:
    """The gains as bars under a sentence; returns the layer just clicked on."""
    st.markdown(f"{cost_words(found)} {sure_words(found)}")
    known = charts.measures_known(found)
    measure = buttons("Gain in", known, "gain") if len(known) > 1 else "kl"
    figure = charts.gains(found, measure, chosen)
    place, name = f"layer-costs-{folder.run_id}", f"{measure}-{chosen}"
    picked: str | None = mount.live_plot(
        figure, key=place, name=name, run=folder.run_id, offset=0, pick="category"
    )
    whole = f"KL {found['kl']:.4g}"
    if found.get("agreement") is not None:
        whole += f", agreement {percent(found['agreement'])}"
    if found.get("top1") is not None:
        whole += f", top-1 {percent(found['top1'])}"
    bands = BANDS if charts.has_bands(found, measure) else ""
    st.caption(
        f"Everything stays quantized but one layer. **Gain**: {DEFINITIONS[measure]}. {DIRECTION} "
        f"{bands}With all quantized: {whole}, on {found['images']:,} images "
        f"({plain(found['test_set'])}). Gains need not add up."
    )
    if found.get("agreement") is None:
        st.caption("Counted by an older version, without agreement and bands.")
    return picked


def cost_expander(folder: RunFolder, found: dict[str, Any]) -> None:
    """The gains of all layers as a table."""
    title = f"Gains of all {len(found['layers'])} layers"
    draw = partial(_table, folder, found)
    folded(title, draw, key="costs-more", icon=":material/table_rows:")


COLUMNS = {
    "kl_gain": (
        "KL",
        "KL divergence to the teacher that goes away with the layer float again, in nats.",
    ),
    "kl_gain_low": ("KL from", f"Lower end of the paired {BAND} band; above 0: more than chance."),
    "kl_gain_high": ("KL to", f"Upper end of the paired {BAND} band."),
    "rank": ("Rank", "1 costs most; empty where the gain may be chance."),
    "weights_kl_gain": ("KL, weights", "The same with its weights alone float."),
    "input_kl_gain": (
        "KL, input",
        "The same with its input alone float; empty where that is float anyway.",
    ),
    "agreement_gain": ("Agreement", "Points of agreement with the teacher that come back."),
    "agreement_gain_low": ("Agreement from", f"Lower end of the paired {BAND} band."),
    "agreement_gain_high": ("Agreement to", f"Upper end of the paired {BAND} band."),
    "top1_gain": ("Top-1", "Points of top-1 that come back, by the labels of the test images."),
    "top1_gain_low": (
        "Top-1 from",
        f"Lower end of the paired {BAND} band; above 0: more than chance.",
    ),
    "top1_gain_high": (
        "Top-1 to",
        f"Upper end of the paired {BAND} band; below 0: a loss, more than chance.",
    ),
}


def cost_table(found: dict[str, Any]) -> pd.DataFrame:
    """A row a layer, a column for each gain that is known: KL in nats, shares in points."""
    layers = found["layers"]
    known = [name for name in COLUMNS if any(layer.get(name) is not None for layer in layers)]
    rows = [
        {"Layer": layer["path"]}
        | {COLUMNS[name][0]: _in_percent(name, layer.get(name)) for name in known}
        for layer in layers
    ]
    return pd.DataFrame(rows)


def _in_percent(name: str, value: float | None) -> float | None:
    return value if value is None or "kl" in name or name == "rank" else round(100 * value, 4)


def _table(folder: RunFolder, found: dict[str, Any]) -> None:
    frame = cost_table(found)
    shown = {
        label: st.column_config.NumberColumn(
            label, help=f"{words} Higher: it costs more." if name.endswith("gain") else words,
            format="%d" if name == "rank" else "%.3g" if "kl" in name else "%+.2f",
        )
        for name, (label, words) in COLUMNS.items()
        if label in frame
    }  # fmt: skip
    shown["Layer"] = st.column_config.TextColumn("Layer", pinned=True)
    st.dataframe(frame, column_config=shown, hide_index=True)
    csv_button(frame, folder.run_id, "layer_costs")


def worst_layer(found: dict[str, Any]) -> dict[str, Any] | None:
    """The layer of the largest gain, among those whose gain is more than chance; None where none is.

    An older analysis has no bands of the KL: there the largest stands for itself.
    """
    layers = found["layers"]
    if any(layer.get("kl_gain_low") is not None for layer in layers):
        layers = [layer for layer in layers if (layer.get("kl_gain_low") or 0) > 0]
    layers = [layer for layer in layers if layer["kl_gain"] > 0]
    return max(layers, key=lambda layer: float(layer["kl_gain"]), default=None)


def sure_words(found: dict[str, Any]) -> str:
    """What the layer of the largest gain gives back in images, and whether that is more than chance."""
    worst = worst_layer(found)
    if worst is None:
        return ""
    told = []
    for name, title in (("agreement_gain", "agreement"), ("top1_gain", "top-1")):
        gain, low, high = (worst.get(f"{name}{end}") for end in ("", "_low", "_high"))
        if gain is None or low is None or high is None:
            continue
        sure = "more than chance" if low > 0 or high < 0 else "**not distinguishable** from none"
        told.append(
            f"{100 * gain:+.2f} points of {title} ({100 * low:+.2f} to {100 * high:+.2f}: {sure})"
        )
    return f"That is {' and '.join(told)}." if told else ""


def cost_words(found: dict[str, Any]) -> str:
    """The layer whose bits cost most, and whether its weights or its input are to blame."""
    worst, whole = worst_layer(found), found["kl"]
    if whole <= 0 or worst is None:
        better = any(layer["kl_gain"] > 0 for layer in found["layers"])
        chance = " by more than chance" if whole > 0 and better else ""
        return f"No single layer made float again brings the student nearer to its teacher{chance}."
    gain = worst["kl_gain"]
    parts = {"weights": worst.get("weights_kl_gain"), "input": worst.get("input_kl_gain")}
    known = {name: part for name, part in parts.items() if part is not None}
    blame = ""
    if len(known) == 2:
        more, less = sorted(known, key=lambda name: -known[name])
        told = f"({known[more]:.3g} by its {more} alone, {known[less]:.3g} by its {less})"
        clear = known[more] > CLEAR * max(known[less], 0)
        blame = f" Mostly its {more} {told}." if clear else f" Weights and input cost alike {told}."
    return (
        f"**{plain(worst['path'])}** costs most: float again it takes away {percent(gain / whole, 0)} of the "
        f"student's distance from the teacher (KL {gain:.3g} of {whole:.3g}).{blame}{_chance_words(found)}"
    )


def _chance_words(found: dict[str, Any]) -> str:
    """How many layers have a gain that is not more than chance."""
    lows = [
        float(one["kl_gain_low"]) for one in found["layers"] if one.get("kl_gain_low") is not None
    ]
    may = sum(low <= 0 for low in lows)
    if not may:
        return ""
    return f" The gains of {may} of {len(lows)} layers may be chance, and are not ranked."
