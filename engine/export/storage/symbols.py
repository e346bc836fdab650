"""A layer's codes as symbols in which zero is the same for every channel, and back."""

import numpy as np
from numpy.typing import NDArray

from engine.export.network import WeightGrid


def zero_codes(grid: WeightGrid) -> NDArray[np.int16]:
    """For each channel [c]: the code of its zero; without one in some channel's levels, 0 for all.

    So one code table does for channels whose grids begin at different places, and a pruned weight is
    the same symbol in all of them. Nothing is stored for it: it is read off the grid.
    """
    if grid.levels is None:
        assert grid.zero_point is not None
        return grid.zero_point.astype(np.int16)
    is_zero = grid.levels == 0
    found = is_zero.argmax(1).astype(np.int16)
    return found if is_zero.any(1).all() else np.zeros_like(found)


def symbols(grid: WeightGrid) -> NDArray[np.int16]:
    """[channels, weights of each], codes less the code of zero."""
    flat = grid.codes.reshape(len(grid.codes), -1).astype(np.int16)
    return flat - zero_codes(grid)[:, None]


def codes(symbols: NDArray[np.int16], grid: WeightGrid) -> NDArray[np.uint8]:
    """The codes of `symbols`, in the shape of the weight; of `grid` its grid alone is read."""
    found = symbols + zero_codes(grid)[:, None]
    return found.astype(np.uint8).reshape(grid.codes.shape)
