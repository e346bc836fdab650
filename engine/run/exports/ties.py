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
    """For what each grid reads in both, in order of execution: the first where codes differ, if any.

    `ours` is rounded as torch does it, by a product with 1 / scale in float32, `theirs` as ONNX says, by a
    quotient: where a value is half a step, that alone may decide.
    """
    for path, grid in grids.items():
        assert grid.scale is not None
        scale = np.float32(grid.scale)
        ratios = (ours[path].astype(np.float32) * (np.float32(1) / scale),
                  theirs[path].astype(np.float32) / scale)  # fmt: skip
        codes = [np.clip(np.rint(ratio), grid.low, grid.high) for ratio in ratios]
        apart = codes[0] != codes[1]
        if apart.any():
            middle = np.minimum(*codes)[apart] + 0.5
            off = max(float(np.abs(ratio[apart] - middle).max()) for ratio in ratios)
            difference = float(np.abs(ratios[0] - ratios[1])[apart].max())
            return Tie(
                path=path, values=int(apart.sum()), distance=off, difference=difference,
                within_rounding=max(off, difference) <= ROUNDING,
            )  # fmt: skip
    return None
