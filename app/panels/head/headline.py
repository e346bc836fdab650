"""What a finished run lost and saved, in four numbers."""

from typing import Any

import streamlit as st

from app.panels.shared import measured
from app.wording.words import size_words
from engine.core.percent import percent
from engine.run.folders.folder import RunFolder


def headline(folder: RunFolder) -> None:
    """Float and quantized top-1, agreement, size; of other networks what they are judged by."""
    result = folder.result()
    if result is None:
        return
    first, second, third, fourth = st.columns(4)
    before, after = result.get("fp32_top1"), result.get("quantized_top1")
    told = measured.metrics(result)
    if told:
        for column, (label, value, words) in zip((first, second, third), told, strict=False):
            column.metric(label, value, border=True, height="stretch", help=words)
    elif before is not None and after is not None:
        test = f"{result['test_images']:,} test images"
        first.metric("Float top-1", percent(before, 2), help=test, border=True, height="stretch")
        second.metric(
            "Quantized top-1",
            percent(after, 2),
            f"{100 * (after - before):+.2f} points",
            delta_color="off" if _may_be_chance(result) else "normal",
            help=test,
            border=True,
            height="stretch",
        )
    else:
        why = measured.sentence(result)
        first.metric("Top-1", "unknown", help=why, border=True, height="stretch")
        kl = result.get("logit_kl")
        second.metric(
            "Logit KL",
            "unknown" if kl is None else f"{kl:.3g} nats",
            border=True,
            height="stretch",
            help="How far the student's probabilities of the classes are from its teacher's; 0: alike.",
        )
    if result.get("agreement") is not None:
        third.metric(
            "Agreement of pixels" if measured.kind_of(result) == "segmentation" else "Agreement",
            measured.agreement_words(result),
            "one class alone" if result.get("answers") == 1 else None,
            delta_color="off",
            delta_arrow="off",
            border=True,
            height="stretch",
            help=measured.agreement_help(result),
        )
    size = result["size_bytes"]
    fourth.metric(
        "Size of the weights",
        size_words(size["quantized"]),
        f"{size['fp32'] / size['quantized']:.1f} times smaller",
        delta_color="off",
        delta_arrow="off",
        border=True,
        height="stretch",
        help=f"As float: {size_words(size['fp32'])}. Packed codes with their scales.",
    )


def _may_be_chance(result: dict[str, Any]) -> bool:
    """Whether the loss is within what the test set can tell; then it is not shown in red."""
    drop = result.get("top1_drop")
    if drop:
        low, high = drop["band"]
        return bool(low <= 0 <= high)
    bands = result.get("top1_band") or {}
    one, other = bands.get("fp32"), bands.get("quantized")
    return bool(one and other and one[0] <= other[1] and other[0] <= one[1])
