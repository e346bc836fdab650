"""Which run is better, and is it real? The results of runs side by side, before their images."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from app.charts.layer_pairs import layer_pairs
from app.charts.panels import letter
from app.charts.results import Accuracy, accuracies
from app.charts.style import SERIES
from app.components import mount
from app.panels import measured
from app.panels.compare.side_by_side import coloured
from app.text import explain
from app.words import size_words
from engine.core.paired import PairedDrop, drop_between
from engine.run.folders.folder import RunFolder
from engine.run.stages.reuse import synthesis_key

Result = dict[str, Any]


def results(runs: Sequence[RunFolder]) -> None:
    """A sentence a pair, the accuracies with their bands, and the numbers in one table."""
    told = {k: run.result() for k, run in enumerate(runs)}
    done = {k: result for k, result in told.items() if result is not None}
    waiting = [letter(k) for k, result in told.items() if result is None]
    st.subheader("Which is better, and is it real?", help=explain("gain"))
    if waiting:
        st.caption(f"No result yet: {', '.join(waiting)}.")
    if not done:
        return
    rows = [row for k, result in done.items() if (row := _accuracy(k, result))]
    left, right = st.columns([3, 2], gap="medium", vertical_alignment="center")
    with left:
        if rows:
            key = "compare-accuracies-" + "-".join(run.run_id[-8:] for run in runs)
            mount.live_plot(accuracies(rows), key=key, run=runs[0].run_id, offset=len(done))
        else:
            st.caption(
                "None of these runs has test images with labels: no accuracy, see the table."
            )
    with right:
        first = min(done)
        for k in [k for k in done if k != first]:
            st.markdown(_pair(first, k, done[first], done[k]))
        st.markdown(_same_images(runs))
    st.dataframe(_table(done), width="stretch")


def layer_results(runs: Sequence[RunFolder]) -> None:
    """Layer by layer: A and each other run on one axis, the error of the layer with all before it."""
    done = [(k, run.result()) for k, run in enumerate(runs)]
    known = [(k, result) for k, result in done if result is not None]
    if len(known) < 2:
        return
    paths = [layer["path"] for layer in known[0][1]["layers"]]
    if any([layer["path"] for layer in result["layers"]] != paths for _, result in known):
        st.caption("These networks have different layers, which cannot be laid beside each other.")
        return
    st.subheader("In which layers do they differ?", help=explain("sqnr"))
    st.caption(
        "Signal to quantization noise of each layer's output, with the errors of all layers before it. "
        "**Further right: less error.**"
    )
    values = {
        letter(k): [layer.get("sqnr_accumulated_db") for layer in result["layers"]]
        for k, result in known
    }
    colours = {letter(k): SERIES[k % len(SERIES)] for k, _ in known}
    key = "compare-layers-" + "-".join(run.run_id[-8:] for run in runs)
    mount.live_plot(layer_pairs(paths, values, colours), key=key, run=runs[0].run_id, offset=0)


def _accuracy(k: int, result: Result) -> Accuracy | None:
    band = (result.get("top1_band") or {}).get("quantized")
    if result.get("quantized_top1") is None or not band:
        return None
    return Accuracy(
        name=letter(k), top1=result["quantized_top1"], low=band[0], high=band[1],
        colour=SERIES[k % len(SERIES)],
    )  # fmt: skip


def _pair(first: int, k: int, one: Result, other: Result) -> str:
    """What the test images allow to say of two runs."""
    names = coloured(k), coloured(first)
    paired = paired_difference(one, other)
    if paired is None:
        return f"{names[0]} against {names[1]}: {_bands(one, other)}"
    points, low, high = (100 * v for v in (-paired.share, -paired.band.high, -paired.band.low))
    how = f"image by image {low:+.2f} to {high:+.2f} points, 95 %"
    if low > 0:
        return f"{names[0]} is **{points:.2f} points better** than {names[1]} ({how})."
    if high < 0:
        return f"{names[0]} is **{-points:.2f} points worse** than {names[1]} ({how})."
    return f"{names[0]} and {names[1]}: **not distinguishable** ({points:+.2f} points; {how})."


def paired_difference(one: Result, other: Result) -> PairedDrop | None:
    """From one run to the other on the same test images; None where they do not say which they have right."""
    same = all(one.get(name) == other.get(name) for name in ("test_images", "test_set", "model"))
    if not same or not one.get("right") or not other.get("right"):
        return None
    try:
        return drop_between(one["right"], other["right"], one["test_images"])
    except (TypeError, ValueError):
        return None


def _bands(one: Result, other: Result) -> str:
    """Where images cannot be paired, the runs' own bands say what can be said."""
    bands = [(result.get("top1_band") or {}).get("quantized") for result in (one, other)]
    mine, its = bands
    if mine is None or its is None:
        return measured.compared(other, one)
    if mine[0] <= its[1] and its[0] <= mine[1]:
        return "their bands overlap: **not distinguishable** by these test images."
    better = one["quantized_top1"] < other["quantized_top1"]
    return f"**{'better' if better else 'worse'}**; the bands do not overlap."


def _same_images(runs: Sequence[RunFolder]) -> str:
    keys = [synthesis_key(run.recipe) for run in runs]
    same = [letter(k) for k, key in enumerate(keys) if k and key == keys[0]]
    if len(same) == len(keys) - 1:
        return "Calibration images: **the same** in all; what differs is the quantizer's."
    if same:
        return f"Calibration images: the same in A, {', '.join(same)}; the others have their own."
    return "Calibration images: **different**."


def _table(done: dict[int, Result]) -> pd.DataFrame:
    rows = {
        "Float top-1": [_share(r.get("fp32_top1")) for r in done.values()],
        "Quantized top-1": [_share(r.get("quantized_top1")) for r in done.values()],
        "Answers that stay": [_share(r.get("agreement")) for r in done.values()],
        "Size": [size_words(r["size_bytes"]["quantized"]) for r in done.values()],
        "Weakest layer": [_weakest(r) for r in done.values()],
        "Seconds": [f"{sum(r['seconds'].values()):.0f}" for r in done.values()],
    }
    return pd.DataFrame(rows, index=[letter(k) for k in done]).T


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2%}"


def _weakest(result: Result) -> str:
    known = [one for one in result["layers"] if one.get("sqnr_local_db") is not None]
    if not known:
        return "–"
    worst = min(known, key=lambda one: float(one["sqnr_local_db"]))
    return f"{worst['path']} ({worst['sqnr_local_db']:.1f} dB alone)"
