"""What a finished run came to: the student beside the teacher, with the bands."""

from typing import Any

import streamlit as st

from app.charts.outcomes.results import Accuracy, accuracies, overlap
from app.charts.style import FLOAT, QUANTIZED
from app.components import mount
from app.engine_calls.choices import title_of
from app.panels.shared import measured
from app.text import explain
from app.wording.data_words import data_words
from app.wording.words import count_words, plain, size_words
from engine.core.percent import BAND
from engine.run.folders.folder import RunFolder

TITLE = "What is lost, what is saved?"


def result_panel(folder: RunFolder) -> None:
    """The chart with the bands, and a sentence that says no more than they do."""
    result = folder.result()
    if result is None:
        return
    st.subheader(TITLE, help=explain("lost"))
    st.markdown(f":material/lock: {data_words(folder.recipe)}")
    words = bits_words(result)
    if words:
        st.caption(words)
    bands = result.get("top1_band") or {}
    before, after = result.get("fp32_top1"), result.get("quantized_top1")
    if before is None or after is None or not bands.get("fp32") or not bands.get("quantized"):
        st.info(measured.sentence(result))
        st.caption(_fine_print(result, bands=False))
        return
    teacher = _accuracy("float", before, bands["fp32"], FLOAT)
    student = _accuracy("quantized", after, bands["quantized"], QUANTIZED)
    left, right = st.columns([3, 2], gap="medium", vertical_alignment="center")
    with left:
        chart = accuracies([teacher, student])
        mount.live_plot(chart, key=f"result-{folder.run_id}", run=folder.run_id, offset=0)
    with right:
        drop = result.get("top1_drop")
        st.markdown(drop_sentence(drop) if drop else _sentence(teacher, student))
        st.caption(plain(_fine_print(result)))


def _accuracy(name: str, top1: float, band: list[float], colour: str) -> Accuracy:
    return Accuracy(name=name, top1=top1, low=band[0], high=band[1], colour=colour)


def drop_sentence(drop: dict[str, Any]) -> str:
    """What the same images say of both networks: which answers changed, and whether it is chance."""
    low, high = (100 * end for end in drop["band"])
    changed = (
        f"On the same images the student misses **{drop['lost']:,}** that its teacher has right, "
        f"and has **{drop['won']:,}** right that its teacher misses"
    )
    if low > 0:
        return f"{changed}: a loss of {low:.2f} to {high:.2f} points, more than chance."
    if high < 0:
        return f"{changed}: a gain of {-high:.2f} to {-low:.2f} points, more than chance."
    return f"{changed}: **not distinguishable** ({-high:+.2f} to {-low:+.2f} points)."


def _sentence(teacher: Accuracy, student: Accuracy) -> str:
    points = 100 * (teacher.top1 - student.top1)
    if overlap(teacher, student):
        return (
            f"The student is {abs(points):.2f} points {'below' if points >= 0 else 'above'} its "
            f"teacher: **not distinguishable** by this test set, the {BAND} bands overlap."
        )
    return f"The student lost **{points:.1f} points** of top-1; the {BAND} bands do not overlap."


def bits_words(result: dict[str, Any]) -> str:
    """What is stored, bit by bit, and what one image takes; runs of older versions do not say all of it."""
    parts = []
    stored = result.get("stored_bits")
    if stored:
        parts.append(
            f"Stored: {_bytes(stored['codes'])} of codes, {_bytes(stored['grids'])} of grids (scales, zero "
            f"points), {_bytes(stored['floats'])} of floats (biases, BatchNorm)."
        )
    values = result.get("weight_values")
    if values:
        parts.append(
            f"All weights together have {values['unique']:,} different values, with an entropy of "
            f"{values['entropy_bits']:.2f} bits a weight."
        )
    moved = result.get("bit_operations")
    if moved:
        parts.append(
            f"Bit-operations for one image: {count_words(moved['quantized'])} instead of "
            f"{count_words(moved['fp32'])}, {moved['fp32'] / moved['quantized']:.0f} times fewer "
            "(multiply-accumulates × bits of weight × bits of input; no measure of time)."
        )
    return " ".join(parts)


def _bytes(bits: float) -> str:
    return size_words(bits / 8)


def _fine_print(result: dict[str, object], *, bands: bool = True) -> str:
    parts = [
        f"{result['test_images']:,} {'test ' if bands else ''}images",
        f"seed {result['seed']}",
    ]
    if result.get("test_set"):
        made_by = str(result.get("synthesis"))
        title = title_of("synthesis", made_by)
        parts.insert(0, str(result["test_set"]).replace(f"made by {made_by}", f"made by {title}"))
    if result.get("images"):
        parts.append(f"calibrated with {result['images']} images")
    if result.get("logit_kl") is not None:
        parts.append(f"logit KL {float(str(result['logit_kl'])):.3g}")
    if result.get("peak_memory_mb"):
        parts.append(f"{float(str(result['peak_memory_mb'])):,.0f} MB at most")
    return " · ".join(parts) + (
        f". Bands: {BAND}, Wilson; the difference: paired." if bands else "."
    )
