"""What stands out inside a layer, a sentence for each view. When it is said is our choice, no paper's."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.core.percent import percent

CLIPPED, FURTHER, OUTLIER = 0.01, 1.25, 4.0  # share of values; times a reach; times the middle
SUFFERS = 2.0  # times the usual image's error
MUCH, SHIFT = 0.1, 0.25  # of the squared error
TWO_BITS_DB = 12.0  # of a uniform grid, about: 40 log10 2
Told = Mapping[str, Any]


def sentences(told: Told) -> dict[str, str]:
    """A sentence for each view that there is; told: see `engine.run.questions.why.tensors`."""
    views = {"input": of_input, "maps": of_maps, "weights": of_weights, "pairs": of_output}
    there = [name for name in views if name == "pairs" or told[name] is not None]
    return {name: views[name](told) for name in there}


def of_input(told: Told) -> str:
    """What stands out in what the layer reads, the worst first."""
    given = told["input"]
    if given["levels"] is None:
        return "The layer reads floats: its input has no grid."
    by_name = {one["name"]: one for one in given["sources"]}
    judged = by_name.get("test", by_name["calibration"])
    reach = {name: _furthest(one["channels"]) for name, one in by_name.items()}
    channel, times = _outlier(judged["channels"])
    ratio = max(reach["calibration"]) / max(*reach["test"], 1e-30) if "test" in reach else 1.0
    if judged["clipped"] >= CLIPPED:
        beyond = percent(judged["clipped"])
        return f"{beyond} of the values that it reads lie beyond its grid: they are clipped."
    if times >= OUTLIER:
        return (
            f"Channel {channel} of its input reaches {times:.1f} times as far as the median channel, and "
            "all channels share one step."
        )
    if ratio >= FURTHER:
        return (
            f"The images calibrated on reach {ratio:.2f} times as far as the test images: the grid is "
            "coarser than these need."
        )
    if ratio <= 1 / FURTHER:
        return f"The test images reach {1 / ratio:.2f} times as far as the images calibrated on."
    return (
        f"Nothing stands out in its input: rounding it leaves {judged['sqnr_db']:.0f} dB, and no channel "
        "and no kind of images reaches much further than the others."
    )


def of_maps(told: Told) -> str:
    """Whether an image, or a channel of the output, has much more of the error than the others."""
    maps, output = told["maps"], told["output"]
    image, worst, usual = maps["images"][0], maps["errors"][0], maps["usual_error"]
    channel, share, count = maps["channels"][0], output["worst_channel_share"], output["channels"]
    said = (
        f"Image {image} suffers most: the layer's output is {percent(worst, 0)} off, where "
        f"{percent(usual, 0)} is usual."
        if worst >= SUFFERS * usual
        else f"All images suffer alike: the output is {percent(usual, 0)} off, {percent(worst, 0)} for the "
        "worst."
    )
    if share >= max(MUCH, OUTLIER / count):
        said += f" Channel {channel} alone, one of {count}, has {percent(share, 0)} of the squared error."
    return said


def of_weights(told: Told) -> str:
    """Whether a channel of the weights loses much more by rounding than the others, or is clipped."""
    rows = told["weights"]["channels"]
    noise = rows["sqnr_db"]
    middle = sorted(noise)[len(noise) // 2]
    worst = min(range(len(noise)), key=noise.__getitem__)
    ends = zip(*(rows[name] for name in ("low", "high", "grid_low", "grid_high")), strict=True)
    cut = sum(low < FURTHER * left or high > FURTHER * right for low, high, left, right in ends)
    if middle - noise[worst] >= TWO_BITS_DB:
        return (
            f"Channel {worst} of its weights loses most by rounding: {noise[worst]:.0f} dB are left, against "
            f"{middle:.0f} dB in the middle."
        )
    if cut:
        return (
            f"The largest weights of {cut} of {len(noise)} channels lie more than a quarter beyond their "
            "grid: they are clipped, which gives the others finer steps."
        )
    return (
        f"Nothing stands out in its weights: rounding leaves {middle:.0f} dB in the middle channel and "
        f"{noise[worst]:.0f} dB in the worst."
    )


def of_output(told: Told) -> str:
    """Whether the error of the output is a shift, which a bias would undo, or scatter."""
    share, left = told["output"]["shift_share"], told["output"]["sqnr_db"]
    if told["output"]["is_shift"]:
        return (
            f"{percent(share, 0)} of the squared error of its output is a constant shift of its channels: a "
            "correction of biases or of BatchNorm undoes that."
        )
    return (
        f"The error of its output is scatter: {left:.0f} dB are left behind all layers before it, and "
        f"a constant shift of channels is only {percent(share, 0)} of it."
    )


def _furthest(channels: Mapping[str, Sequence[float]]) -> list[float]:
    return [max(-low, high) for low, high in zip(channels["low"], channels["high"], strict=True)]


def _outlier(channels: Mapping[str, Sequence[float]]) -> tuple[int, float]:
    """(the channel that reaches furthest, how many times as far as the median one); 1 where that has none."""
    reach = _furthest(channels)
    middle = sorted(reach)[len(reach) // 2]
    first = max(range(len(reach)), key=reach.__getitem__)
    return first, reach[first] / middle if middle > 0 else 1.0
