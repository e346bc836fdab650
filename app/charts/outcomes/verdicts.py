"""Plain sentences about numbers: what is seen, and whether it is good. What came of it is said first."""

from collections.abc import Sequence
from typing import Any

from app.charts.layers.levels import bad_db, error_share, good_db, share_words
from engine.core.percent import BAND, percent
from engine.run.stages.judging.one_class import says_little

MOST_BITS = 8  # of a weight
CLIPPED = 0.01  # of a layer's weights: more than 8 bits ever need to give up


def loss_band(result: dict[str, Any]) -> tuple[float, float, float] | None:
    """The loss of top-1 in points, and its 95 % band; None where no accuracy is known.

    The band is of the paired difference; of older runs it is as wide as the two bands allow.
    """
    before, after = result.get("fp32_top1"), result.get("quantized_top1")
    if before is None or after is None:
        return None
    drop, bands = result.get("top1_drop"), result.get("top1_band") or {}
    if drop:
        low, high = drop["band"]
    elif bands.get("fp32") and bands.get("quantized"):
        low = bands["fp32"][0] - bands["quantized"][1]
        high = bands["fp32"][1] - bands["quantized"][0]
    else:
        return None
    return 100 * (before - after), 100 * low, 100 * high


def is_chance(result: dict[str, Any]) -> bool:
    """Whether the loss is within what the test set can tell."""
    loss = loss_band(result)
    return loss is not None and loss[1] <= 0 <= loss[2]


def outcome_verdict(result: dict[str, Any]) -> str:
    """What the bits cost the answers, and whether it is more than chance; empty where nobody can tell."""
    loss = loss_band(result)
    if loss is None:
        if result.get("agreement") is None or says_little(result):
            return ""
        return f"Teacher and student agree on **{percent(result['agreement'])}** of the answers."
    points, low, high = loss
    known = f"{BAND}, on {result['test_images']:,} test images"
    if low > 0:
        band = f"{low:.2f} to {high:.2f}, {known}"
        return f"**{points:.2f} points of top-1 are lost**, more than chance ({band})."
    if high < 0:
        band = f"{-high:.2f} to {-low:.2f}, {known}"
        return f"**{-points:.2f} points of top-1 are won**, more than chance ({band})."
    band = f"{low:+.2f} to {high:+.2f}, {known}"
    return f"**The loss is within chance**: {points:.2f} points of top-1 ({band})."


def accuracy_words(result: dict[str, Any]) -> tuple[str, str] | None:
    """The student's top-1, and in a few words how it stands to its teacher's; None where it is not known."""
    loss = loss_band(result)
    if loss is None:
        return None
    points, low, high = loss
    teacher = f"the teacher's {percent(result['fp32_top1'], 2)}"
    note = (
        f"right, {points:.2f} points below {teacher}: more than chance"
        if low > 0
        else f"right, {-points:.2f} points above {teacher}: more than chance"
        if high < 0
        else f"right, {abs(points):.2f} points {'below' if points >= 0 else 'above'} {teacher}: within chance"
    )
    return percent(result["quantized_top1"], 2), note


def layers_verdict(
    measured: Sequence[dict[str, Any]],
    total: int,
    result: dict[str, Any] | None = None,
    costliest: dict[str, Any] | None = None,
    *,
    at_work: bool = True,
) -> str:
    """What came of it, and which layer to look at first, by measured cost where it is known, else by SQNR.

    `costliest` is the layer of the largest measured cost that is more than chance (see layer_costs.py).
    `at_work`: whether the run may yet say more.
    """
    known = [one for one in measured if _db(one) is not None]
    if not known:
        if at_work:
            return "No layer is measured yet: bars appear as blocks finish."
        return "The run ended before a layer was measured: resume it to see where the error enters."
    said = [outcome_verdict(result)] if result else []
    if result is None and len(known) < total:
        ended = "" if at_work else "The run ended early: "
        said.append(
            f"{ended}{len(known)} of {total} layers {'is' if len(known) == 1 else 'are'} measured."
        )
    elif result is None:
        said.append(
            "All layers are measured; what it costs the answers is judged next."
            if at_work
            else "All layers are measured; the run ended before the answers were judged."
        )
    said.append(_by_cost(costliest) if costliest else _by_sqnr(known, result))
    return " ".join(one for one in said if one)


def _by_cost(costliest: dict[str, Any]) -> str:
    return (
        f"By measured cost `{costliest['path']}` is the layer to look at first: no other, made float again, "
        f"brings the answers so much nearer to the teacher's."
    )


def _by_sqnr(known: Sequence[dict[str, Any]], result: dict[str, Any] | None) -> str:
    """The weakest layer, with what such an error cost in measured runs; what came of this run weighs more."""
    worst = min(known, key=lambda one: float(_db(one) or 0.0))
    worst_db = float(_db(worst) or 0.0)
    name = f"`{worst['path']}`{_bits(worst)}"
    error = f"its error is {share_words(worst_db)} of its signal ({worst_db:.1f} dB)"
    bad = sum(float(_db(one) or 0.0) < bad_db() for one in known)
    if result and is_chance(result):
        return f"The largest error by SQNR is that of {name}, {error}: the answers bear it."
    if bad:
        others = "" if bad == 1 else f" ({bad} layers have such errors)"
        return (
            f"By SQNR (costs are not measured) look at {name} first: {error}. In measured runs that costs "
            f"answers more often than not{others}. {_way_out(worst)}"
        )
    alone = f"the largest error by SQNR is that of {name}: {error}"
    lost = result is not None and (loss_band(result) or (0.0, 0.0, 0.0))[1] > 0
    if lost:
        return f"No layer alone explains it, {alone}. Errors add up: measure what each layer costs."
    level = "to watch" if worst_db < good_db() else "as small as in layers that cost nothing"
    return f"{alone[0].upper()}{alone[1:]}, {level}."


def _way_out(worst: dict[str, Any]) -> str:
    values = worst.get("values", {})
    if (values.get("weight_bits") or 0) < MOST_BITS:
        return "Give it more bits first."
    clipped = values.get("weight_clip_share") or 0.0
    if clipped > CLIPPED:
        return (
            f"Its weights have the most bits there are, and {percent(clipped)} of them lie beyond their "
            "levels: another range of the weights (or alphabet) is what helps."
        )
    return "Its weights have the most bits there are: look at what it reads."


def _db(measured: dict[str, Any]) -> float | None:
    value = measured.get("values", {}).get("sqnr_local_db")
    return None if value is None else float(value)


def _bits(measured: dict[str, Any]) -> str:
    values = measured.get("values", {})
    if values.get("weight_bits") is None or values.get("activation_bits") is None:
        return ""
    return f" (W{values['weight_bits']:.0f}A{values['activation_bits']:.0f})"


def inherited_verdict(measured: Sequence[dict[str, Any]]) -> str:
    """One sentence on how much of the last layer's error came from layers before it; or nothing."""
    both = [
        (m["path"], _db(m), m["values"].get("sqnr_accumulated_db"))
        for m in measured
        if _db(m) is not None and m["values"].get("sqnr_accumulated_db") is not None
    ]
    if not both:
        return ""
    path, local, accumulated = both[-1]
    own, all_of_it = error_share(float(local or 0.0)), error_share(float(accumulated or 0.0))
    if all_of_it < 1.12 * own:  # a decibel
        return f"At `{path}` almost nothing is inherited: its own error dominates."
    return (
        f"At `{path}` the error is {share_words(float(accumulated or 0.0))} of the signal with those of the "
        f"layers before it, {share_words(float(local or 0.0))} by itself."
    )
