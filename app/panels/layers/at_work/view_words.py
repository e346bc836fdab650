"""What a look at a quantizer at work says, in a sentence: one function a picture."""

from collections.abc import Callable

from app.run_files.history import Event
from engine.core.percent import percent

Seen = list[Event]  # the looks so far, of which the last is drawn
FELT = 0.1  # of a sign's gradient


def _soft_rounding(seen: Seen) -> str:
    last, values = seen[-1], seen[-1]["values"]
    return (
        f"`{last['what']}`, step {last['step']}: {percent(values['decided'], 0)} of the weights have "
        f"decided, {percent(values['up'], 0)} lean up."
    )


def _borders(seen: Seen) -> str:
    last, values = seen[-1], seen[-1]["values"]
    farthest = values["farthest"]
    where = "The borders are where nearest rounding has them"
    bent = f"The border that bent most is {farthest:.3f} away from one half"
    return f"`{last['what']}`: {bent if farthest >= 0.0005 else where}."


def _path(seen: Seen) -> str:
    last, values = seen[-1], seen[-1]["values"]
    share = values["error"] / values["nearest"] if values.get("nearest") else 1.0
    return (
        f"`{last['what']}`: the layer's output is off by {percent(values['error'])} of its size; rounded "
        f"to nearest it would be {percent(values['nearest'])}, so the path has {percent(share, 0)} "
        "of that error."
    )


def _confidence(seen: Seen) -> str:
    last, values = seen[-1], seen[-1]["values"]
    return (
        f"`{last['what']}`, step {last['step']}: {percent(values['decided'], 0)} of the weights are "
        f"{percent(0.99, 0)} sure of one level, at a sharpness of {values['temperature']:.3g}."
    )


def _slopes(seen: Seen) -> str:
    last, values = seen[-1], seen[-1]["values"]
    first = last["arrays"]["norm"][0]
    fall = 1 - values["norm"] / first if first else 0.0
    return (
        f"After {last['step']} steps the sum of the loss's slopes is {values['norm']:.3g}, "
        f"{percent(abs(fall), 0)} {'less' if fall >= 0 else 'more'} than at first: rounding to any width "
        f"moves the loss by that much {'less' if fall >= 0 else 'more'}, to first order."
    )


def _widths(seen: Seen) -> str:
    arrays, values = seen[-1]["arrays"], seen[-1]["values"]
    judged = "right" if values["labelled"] else "of the float network's opinion"
    told = ", ".join(
        f"{bits:.0f} bits {percent(before)} → {percent(after)}"
        for bits, before, after in zip(
            *(arrays[k] for k in ("bits", "before", "after")), strict=True
        )
    )
    return (
        f"Weights rounded to the nearest, before → after the training: {told}; float "
        f"{percent(values['float_before'])} → {percent(values['float_after'])} {judged}, on "
        f"{values['images']:,.0f} images."
    )


def _signs(seen: Seen) -> str:
    last, values = seen[-1], seen[-1]["values"]
    return (
        f"After {last['step']} steps a sign says {values['entropy']:.3f} bits, where that of the weight "
        f"itself says {values['plain']:.3f}; {percent(values['felt'], 0)} of the weights have a gradient of "
        f"{FELT} or more, by which they may still turn."
    )


def _deviations(seen: Seen) -> str:
    last, values = seen[-1], seen[-1]["values"]
    return (
        f"The input of `{last['what']}`, one image: the widest channel, {values['channel']:.0f}, spreads "
        f"{values['spread']:.1f} times as far as the middle one; the error has {percent(values['noise'], 2)} "
        "of the channels' energy around their means."
    )


def _fixing(seen: Seen) -> str:
    values = seen[-1]["values"]
    return (
        f"Round {values['round']:.0f}: {percent(values['fixed'])} of the weights are fixed, to "
        f"{values['unique']:.0f} values; the entropy of those weights is {values['entropy']:.2f} bits. "
        f"Drawn is how far {percent(0.995, 1)} of the weights reach."
    )


def _orders(seen: Seen) -> str:
    last, values = seen[-1], seen[-1]["values"]
    return (
        f"`{last['what']}`: the layer's output is off by {percent(values['importance'])} of its size with "
        f"the strongest inputs first, by {percent(values['magnitude'])} with the largest weights first, by "
        f"{percent(values['random'])} in random order; rounded to nearest, by {percent(values['nearest'])}."
    )


def _taps(seen: Seen) -> str:
    last, values = seen[-1], seen[-1]["values"]
    when = "after the split" if values["split"] else "before the split"
    return (
        f"`{last['what']}`, {when}: the centre taps spread {values['ratio']:.1f} times as far as the "
        "others, on one grid for all."
    )


def _factors(seen: Seen) -> str:
    last, values = seen[-1], seen[-1]["values"]
    rank = f"rank {values['rank']:.0f}"
    if "rank_inputs" in values:  # Tucker's form has one for each side
        rank = f"ranks {values['rank']:.0f} and {values['rank_inputs']:.0f}"
    return (
        f"`{last['what']}`, {rank}: the product of the quantized factors is off by "
        f"{percent(values['end'])} of the kernel's size; the rounded float factors by "
        f"{percent(values['start'])}."
    )


def _levels(seen: Seen) -> str:
    last = seen[-1]
    values = last["values"]
    if "planes" in values:
        planes = (
            f"its first {values['planes']:.0f} bits" if values["planes"] > 1 else "its first bit"
        )
        return f"`{last['what']}`, {planes} read: a mean squared error of {values['mse']:.3g}."
    if "alpha" in values:
        return (
            f"`{last['what']}`, an interval of {values['alpha']:.2f} standard deviations: "
            f"{percent(values['pruned'], 0)} of the channel's weights are 0, at a mean squared error of "
            f"{values['mse']:.3g}."
        )
    of_one = [view for view in seen if view["what"] == last["what"]]
    before = of_one[0]["values"]["mse"]
    fall = 1 - values["mse"] / before if before else 0.0
    return (
        f"`{last['what']}`, after {values['turn']:.0f} turns: the squared error is {percent(fall)} below "
        "that of even levels."
    )


SENTENCES: dict[str, Callable[[Seen], str]] = {
    "soft-rounding": _soft_rounding,
    "borders": _borders,
    "path": _path,
    "confidence": _confidence,
    "slopes": _slopes,
    "widths": _widths,
    "signs": _signs,
    "deviations": _deviations,
    "fixing": _fixing,
    "orders": _orders,
    "taps": _taps,
    "factors": _factors,
    "levels": _levels,
}


def words(form: str, seen: Seen) -> str:
    """What the last look says of what it is a picture of."""
    return SENTENCES[form](seen)
