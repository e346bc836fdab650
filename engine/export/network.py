"""A quantized network as plain data: what every format is written from, and all that it knows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightGrid:
    """A layer's weights on their grid: values = scale · (codes − zero point), one pair a channel.

    Where no even grid holds the values (a learned basis), `levels` has them instead, and scale and zero
    point are None: values[c] = levels[c, codes[c]].
    """

    bits: int  # of one code, as it is stored
    codes: NDArray[np.uint8]  # in the weight's shape, channels of output first
    scale: NDArray[np.float32] | None = None  # [channels]
    zero_point: NDArray[np.uint8] | None = None  # [channels], whole codes
    levels: NDArray[np.float32] | None = (
        None  # [channels, levels]; [1, levels] where all share them
    )

    def values(self) -> NDArray[np.float32]:
        """What the layer computes with, in the weight's shape, float32."""
        flat = self.codes.reshape(len(self.codes), -1)
        if self.levels is not None:  # one row of them broadcasts
            found: NDArray[np.float32] = np.take_along_axis(self.levels, flat.astype(np.int64), 1)
        else:
            assert self.scale is not None
            assert self.zero_point is not None
            whole = flat.astype(np.float32) - self.zero_point[:, None].astype(np.float32)
            found = self.scale[:, None] * whole
        return found.reshape(self.codes.shape)


class NestedCodes(NamedTuple):
    """A layer's whole nested codes: uint8 of 8 bits in the weight's shape, of which first bits may be read.

    Beside them float32 clips [channels] and factors [channels, 8]. `whole`: however few bits are read of
    others, this layer has all of its own, as first and last layers may.
    """

    codes: NDArray[np.uint8]
    clips: NDArray[np.float32]
    factors: NDArray[np.float32]
    whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InputGrid:
    """What a module (a layer, or a block for all its readers) rounds its input to: scale · [low … high].

    Where that is no even grid, `kind` says what it is, and scale and bounds are None.
    """

    bits: int
    scale: float | None = None
    low: int | None = None
    high: int | None = None
    kind: str = "even"  # "basis": learned levels; "border": learned, where it rounds up;
    # "dynamic": by image; "signs": -s and s


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A quantized network.

    `module` is a torch module in eval mode, from one tensor of images [n, channels, height, width] to one
    tensor. It computes what the student does: its layers' weights are the grids' values, and input grids
    are modules of engine.export.graph.levels. `state` has the tensors of the float network, by
    its own names, with those values in the place of its weights.
    """

    module: Any
    image_shape: tuple[int, int, int]
    weights: Mapping[str, WeightGrid]  # by the path of the layer
    inputs: Mapping[str, InputGrid]  # by the path of the module
    state: Mapping[str, NDArray[Any]]
    added: tuple[str, ...] = ()  # names in `state` that the float network has not: corrected biases
    ends: tuple[str, ...] = ()  # paths of modules, one a block, whose outputs are compared
    composed: tuple[
        str, ...
    ] = ()  # layers whose weights are sums or products of codes: values in `state`
    nested: Mapping[str, NestedCodes] | None = (
        None  # whole codes, where all weights have nested ones
    )
    facts: Mapping[str, Any] | None = None  # of the run: name, mean, std, classes
