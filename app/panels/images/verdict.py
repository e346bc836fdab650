"""Do the images agree with what the network remembers? A sentence."""

import math
from typing import Any, TypeGuard

from app.run_files.history import Event, History
from engine.core.percent import percent

SMALLEST = 1e-3  # of a gap, in words
NO_PART = ("student",)  # minimised beside the images, and no part of their loss


WATCH = "The darker a layer's row, the nearer the images are to the statistics that the network keeps there."


def growth_verdict(history: History, *, growing: bool = False) -> str:
    """How far the gap fell, at which layer it is largest; empty where nothing is measured.

    While the images are `growing` no page is drawn at each of their steps: what to look for on the map.
    """
    if growing:
        return WATCH if history.started["bn_layers"] else ""
    ends, known = _ends(history), last_gaps(history)
    if ends is None:
        return ""
    first, last = (_mean(event["bn_gap"]) for event in ends)
    if first is None or last is None or not known:
        return ""
    worst = max(known, key=lambda path: known[path])
    furthest = f"Furthest off is `{worst}` with {known[worst]:.2g}."
    if ends[0] is ends[1]:  # nothing grew
        return (
            f"The images' statistics are off those that the network remembers: the gap is **{last:.2g}** on "
            f"average (0: they agree). {furthest}"
        )
    how = (
        f"**{first / max(last, SMALLEST):.0f} times nearer** to the statistics that the network remembers "
        f"than at the start"
        if last < first / 1.5
        else "**hardly nearer** to the statistics that the network remembers than at the start"
    )
    return (
        f"The images are {how}: the gap is {last:.2g} on average, from {first:.2g} (0: they agree). "
        f"{furthest}"
    )


def last_gaps(history: History) -> dict[str, float]:
    """By BatchNorm, how far the images were off at the last step that was measured; empty where none was."""
    ends, layers = _ends(history), history.started["bn_layers"]
    if ends is None or len(ends[1]["bn_gap"]) != len(layers):
        return {}
    pairs = zip(layers, ends[1]["bn_gap"], strict=True)
    return {path: float(gap) for path, gap in pairs if gap is not None and math.isfinite(gap)}


def loss_words(history: History) -> str:
    """Which part of the loss is the largest at the end; empty where there is but one, or none."""
    last = history.last("stepped", stage="synthesis") or {}
    parts = {
        k: v for k, v in (last.get("losses") or {}).items() if k not in NO_PART and _is_number(v)
    }
    whole = sum(parts.values())
    if len(parts) < 2 or whole <= 0:
        return ""
    most = max(parts, key=lambda name: float(parts[name]))
    return f"At the last step *{most}* is {percent(parts[most] / whole, 0)} of the loss."


def teacher_words(history: History) -> str:
    """What the teacher takes the finished images for; empty where it was not asked."""
    seen = (history.last("stepped", stage="synthesis") or {}).get("values") or {}
    sure, classes = seen.get("confidence"), seen.get("class_spread")
    if not _is_number(sure) or not _is_number(classes):
        return ""
    return (
        f"At the last step it is {percent(sure, 0)} sure of its answers on average, which are spread over "
        f"{classes:.1f} classes."
    )


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and math.isfinite(value)


def _ends(history: History) -> tuple[Event, Event] | None:
    """The first step and the last at which gaps were measured; None where they were at none."""
    told = (
        next((event for event in steps if event.get("bn_gap")), None)
        for steps in (
            history.of("stepped", stage="synthesis"),
            history.backwards("stepped", stage="synthesis"),
        )
    )
    first, last = told
    return None if first is None or last is None else (first, last)


def _mean(gaps: list[float | None]) -> float | None:
    known = [gap for gap in gaps if gap is not None and math.isfinite(gap)]
    return sum(known) / len(known) if known else None
