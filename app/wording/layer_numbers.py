"""What is measured of a layer: its name, when it is good, and a sentence for each case.

The levels of the SQNR are measured on runs (app/charts/layers/levels.py). The others are rules of thumb for
telling layers apart, not laws; 0.289 (the square root of 1/12) is the error, in steps, of values spread
evenly between their levels.
"""

import math
from dataclasses import dataclass
from typing import Any

from app.charts.layers.levels import bad_db, good_db
from engine.core.percent import percent

MOVED = (
    0.01  # from this share of codes off the nearest on, rounding had another aim than the weights
)
GRADES = {"good": "green", "watch": "orange", "bad": "red"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """One number of a layer; `good` and `bad` are where it stops being the one, begins to be the other."""

    name: str
    label: str
    form: str  # of Python's format, and of a column
    good: float
    bad: float
    says: tuple[str, str, str]  # where it is good, to watch, bad

    def grade(self, value: float) -> str:
        """good, watch or bad; where `good` is above `bad`, more is better."""
        up = 1 if self.bad > self.good else -1
        return (
            "good"
            if up * (value - self.good) <= 0
            else "bad"
            if up * (value - self.bad) > 0
            else "watch"
        )

    def text_of(self, value: float) -> str:
        """The value in digits, a share with its sign."""
        if self.form.endswith("%"):
            return percent(value, int(self.form[1:-1]))
        return format(value, self.form)

    def sentence(self, value: float) -> str:
        """What the value means."""
        return self.says[list(GRADES).index(self.grade(value))]


_ALONE = (
    "hardly any of the error is theirs.",
    "they add an error that sometimes costs answers.",
    "such an error costs answers more often than not: more bits or another rounding here.",
)
NUMBERS = (
    Number(name="sqnr_weights_db", label="Weights alone", form=".1f", good=good_db(), bad=bad_db(),
           says=_ALONE),
    Number(name="sqnr_activations_db", label="Activations alone", form=".1f", good=good_db(), bad=bad_db(),
           says=(*_ALONE[:2], "such an error costs answers more often than not: more bits, another range.")),
    Number(name="weight_rmse_steps", label="RMSE / step", form=".3f", good=0.34, bad=0.5,
           says=("as small as rounding can make it (0.289 is an even spread).",
                 "more than an even spread (0.289): some weights are clipped.",
                 "weights lie far from their levels: many are cut, or a few by far, or the step is wrong.")),
    Number(name="input_rmse_steps", label="Input RMSE / step", form=".3f", good=0.34, bad=0.5,
           says=("as small as rounding can make it (0.289 is an even spread).",
                 "more than an even spread (0.289): some of what the layer reads is clipped.",
                 "what the layer reads lies far from its levels: many values are cut, or a few by far.")),
    Number(name="weight_clip_share", label="Weights clipped", form=".2%", good=0.002, bad=0.1,
           says=("the grid reaches as far as the weights.",
                 "some weights lie beyond the grid, the price of its finer steps.",
                 "many weights lie beyond the grid: try another range of the weights.")),
    Number(name="weight_dead_levels", label="Dead levels", form=".1%", good=0.1, bad=0.4,
           says=("nearly every level is used.", "some levels are used by no weight of their channel.",
                 "much of the grid is used by no weight: the range is set by a few.")),
    Number(name="unused_bits", label="Bits not used", form=".2f", good=0.8, bad=1.6,
           says=("the codes carry nearly what they could.", "fewer bits would do for what the codes carry.",
                 "the codes carry far less than the bits they take.")),
    Number(name="input_clip_share", label="Inputs clipped", form=".2%", good=0.01, bad=0.05,
           says=("the range covers what the layer reads.", "some of what the layer reads is clipped.",
                 "much of what the layer reads is clipped: try another range.")),
)  # fmt: skip


def numbers_of(measured: dict[str, Any]) -> dict[str, float]:
    """The values of a layer-measured event, and the bits that its codes take but do not carry."""
    values = {k: float(v) for k, v in measured["values"].items() if v is not None}
    if {"weight_level_bits", "weight_entropy_bits"} <= values.keys():
        values["unused_bits"] = values["weight_level_bits"] - values["weight_entropy_bits"]
    return {name: value for name, value in values.items() if math.isfinite(value)}


def known_numbers(values: dict[str, float], shape: list[int]) -> list[Number]:
    """What is known and can be judged.

    Of more levels than weights some must stay unused; and where codes were moved off the nearest for the
    sake of the layer's output, the distance of the weights from their levels says nothing.
    """
    few = math.prod(shape[1:]) < 2 ** values.get("weight_level_bits", 0) * 2
    left_out = ["weight_dead_levels", "unused_bits"] if few else []
    if values.get("flipped", 0.0) > MOVED:
        left_out.append("weight_rmse_steps")
    return [one for one in NUMBERS if one.name in values and one.name not in left_out]
