"""Where was the accuracy lost? From float over bits and images to what is left, as far as runs tell."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from app.charts.why.accounting import Step, waterfall
from app.components import mount
from app.panels.shared.csv_button import csv_button
from app.text import explain
from engine.core.percent import BAND
from engine.run.folders.folder import RunFolder
from engine.run.questions.better import paired_between

Result = dict[str, Any]
REAL, NOISE = "real", "noise"
SYNTHETIC = "synthetic"


def accounting(folder: RunFolder, members: Mapping[str, RunFolder]) -> None:
    """The waterfall with its sentence; nothing where one run alone says it, or there is no accuracy.

    members: the finished runs of one recipe by where their images come from.
    """
    results = {name: run.result() or {} for name, run in members.items()}
    start, steps = steps_of(results)
    if len(steps) < 2:
        return
    st.markdown("**Where was the accuracy lost?**", help=explain("accounting"))
    st.markdown(verdict(steps))
    key = f"accounting-{folder.run_id}-{len(steps)}"
    mount.live_plot(waterfall(start, steps), key=key, run=folder.run_id, offset=0)
    words = f"Every step with its {BAND} band, in points of top-1."
    csv_button(table(steps), folder.run_id, "accounting", words=words)


def steps_of(results: Mapping[str, Result]) -> tuple[float, list[Step]]:
    """(the float network's top-1 in points, what each step takes off it), in order.

    The steps go from float to real images, from those to synthetic ones, from those to noise, past what is
    missing: then one step has two causes. Of several kinds of synthetic images the first counts.
    """
    usable = {name: one for name, one in results.items() if _is_judged(one)}
    synthetic = next((name for name in usable if name not in (REAL, NOISE)), "")
    there = [name for name in (REAL, synthetic, NOISE) if name in usable]
    if not there:
        return 0.0, []
    start = 100 * usable[there[0]]["fp32_top1"]
    steps = []
    before = ""
    for name in there:
        steps.append(_step(usable, before, name, synthetic))
        before = name
    return start, steps


def _is_judged(result: Result) -> bool:
    return result.get("fp32_top1") is not None and result.get("quantized_top1") is not None


def _step(results: Mapping[str, Result], before: str, name: str, synthetic: str) -> Step:
    after = results[name]
    kind = SYNTHETIC if name == synthetic else name
    if not before:
        drop = after.get("top1_drop") or {}
        low, high = (drop.get("band") or (None, None)) if drop else (None, None)
        title = "fewer bits" if name == REAL else f"fewer bits, {kind} images"
        points = 100 * (after["fp32_top1"] - after["quantized_top1"])
    else:
        paired = paired_between(results[before], after)
        low, high = paired.band if paired else (None, None)
        title = f"{kind} images" if name == synthetic else "noise instead"
        points = 100 * (results[before]["quantized_top1"] - after["quantized_top1"])
    return Step(name=title, points=points, low=_points(low), high=_points(high))


def _points(share: float | None) -> float | None:
    return None if share is None else 100 * share


def verdict(steps: Sequence[Step]) -> str:
    """What costs most, and what may be chance."""
    sure = [one for one in steps if one.is_sure and one.points > 0]
    if not sure:
        return "No step costs more than chance: bits and images are both bearable here."
    worst = max(sure, key=lambda one: one.points)
    said = f"**{worst.name[:1].upper()}{worst.name[1:]} cost{_s(worst)} most: {worst.points:.1f} points.**"
    chance = [one.name for one in steps if not one.is_sure]
    return f"{said} May be chance: {', '.join(chance)}." if chance else said


def _s(step: Step) -> str:
    return "s" if step.name == "noise instead" else ""


def table(steps: Sequence[Step]) -> pd.DataFrame:
    """A row a step: points lost, the ends of the band, whether it may be chance."""
    return pd.DataFrame(
        [
            {"step": one.name, "points lost": one.points, "low": one.low, "high": one.high,
             "may be chance": not one.is_sure}
            for one in steps
        ]
    )  # fmt: skip
