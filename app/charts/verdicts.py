"""Plain sentences about numbers: what is seen, and whether it is good."""

from typing import Any

from app.charts.quantization import BAD_DB, GOOD_DB

MOST_BITS = 8  # of a weight
CLIPPED = 0.01  # of a layer's weights: more than 8 bits ever need to give up


def layers_verdict(measured: list[dict[str, Any]], total: int) -> str:
    """One sentence on the layers measured so far, naming the worst."""
    known = [m for m in measured if _db(m) is not None]
    if not known:
        return "No layer is measured yet: bars appear as blocks finish."
    worst = min(known, key=lambda m: float(_db(m) or 0.0))
    worst_db = float(_db(worst) or 0.0)
    bad = sum(float(_db(m) or 0.0) < BAD_DB for m in known)
    watch = sum(BAD_DB <= float(_db(m) or 0.0) < GOOD_DB for m in known)
    done = "All" if len(known) >= total else f"{len(known)} of {total}"
    bits = _bits(worst)
    name = f"`{worst['path']}`{bits}"
    if bad:
        share = "one layer is" if bad == 1 else f"{bad} layers are"
        return (
            f"{done} layers measured; **{share} bad** (under {BAD_DB:g} dB): the worst is {name} at "
            f"{worst_db:.1f} dB, its error is {10 ** (-worst_db / 20):.0%} of its signal. "
            f"{_way_out(worst)}"
        )
    if watch:
        share = "one layer" if watch == 1 else f"{watch} layers"
        return (
            f"{done} layers measured; none is bad, **{share} to watch** ({BAD_DB:g} to {GOOD_DB:g} "
            f"dB): the weakest is {name} at {worst_db:.1f} dB."
        )
    return f"{done} layers measured, **all good**: even the weakest, {name}, has {worst_db:.1f} dB."


def _way_out(worst: dict[str, Any]) -> str:
    values = worst.get("values", {})
    if (values.get("weight_bits") or 0) < MOST_BITS:
        return "Give it more bits first."
    clipped = values.get("weight_clip_share") or 0.0
    if clipped > CLIPPED:
        return (
            f"Its weights have the most bits there are, and {clipped:.1%} of them lie beyond their levels: "
            "another range of the weights (or alphabet) is what helps."
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


def inherited_verdict(measured: list[dict[str, Any]]) -> str:
    """One sentence on how much of the last layer's error came from layers before it; or nothing."""
    both = [
        (m["path"], _db(m), m["values"].get("sqnr_accumulated_db"))
        for m in measured
        if _db(m) is not None and m["values"].get("sqnr_accumulated_db") is not None
    ]
    if not both:
        return ""
    path, local, accumulated = both[-1]
    lost = float(local or 0.0) - float(accumulated or 0.0)
    if lost < 1.0:
        return f"At `{path}` almost nothing is inherited: its own error dominates."
    return f"At `{path}` the errors of the layers before it cost another {lost:.1f} dB."
