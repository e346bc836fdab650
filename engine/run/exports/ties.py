"""Ties: values that lie so near the middle of two levels that the order of a sum decides between them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.export.network import InputGrid

ROUNDING = 1e-3  # steps: what sums of float32 in another order differ by at most


class Tie(NamedTuple):
    """The first input grid at which two computations of the same network round differently."""

    path: str
    values: int  # that fell to different levels
    distance: float  # the largest from the middle of the two, in steps
    difference: float  # the largest between the two values, in steps
    within_rounding: bool  # both are what another order of sums explains


def first_tie(
    grids: Mapping[str, InputGrid],
    ours: Mapping[str, NDArray[Any]],
    theirs: Mapping[str, NDArray[Any]],
) -> Tie | None:
    """For what each grid reads in both, in order of execution: the first where codes differ, if any."""
    for path, grid in grids.items():
        assert grid.scale is not None
        a, b = (x[path].astype(np.float64) / grid.scale for x in (ours, theirs))
        codes = [np.clip(np.rint(x), grid.low, grid.high) for x in (a, b)]
        apart = codes[0] != codes[1]
        if apart.any():
            off = np.abs(np.stack([a[apart], b[apart]]) - (np.maximum(*codes)[apart] - 0.5)).max()
            difference = float(np.abs(a - b)[apart].max())
            return Tie(
                path=path, values=int(apart.sum()), distance=float(off), difference=difference,
                within_rounding=max(float(off), difference) <= ROUNDING,
            )  # fmt: skip
    return None
