"""The integer types of ONNX: in which one codes of so many bits are kept, and how they are packed."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.export.packing import pack


@dataclass(frozen=True, slots=True)
class Stored:
    """An unsigned integer type of ONNX."""

    name: str
    bits: int
    opset: int  # the first whose QuantizeLinear and DequantizeLinear take it

    def tensor(self, name: str, codes: NDArray[np.uint8]) -> Any:
        """The codes as an initializer, packed as ONNX asks for: the first in the lowest bits."""
        from onnx import TensorProto, helper

        kind = getattr(TensorProto, self.name)
        return helper.make_tensor(
            name, kind, codes.shape, pack(codes, self.bits).tobytes(), raw=True
        )


_TYPES = (Stored("UINT2", 2, 25), Stored("UINT4", 4, 21), Stored("UINT8", 8, 21))


def stored_as(bits: int) -> Stored:
    """The smallest type that holds such codes: 3 bits go into 4, and 5, 6 and 7 into 8."""
    return next(kind for kind in _TYPES if kind.bits >= bits)
