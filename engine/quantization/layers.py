"""Quantized layers: subclasses put at the same path, so that names, keys and deepcopy keep working.

A layer quantizes its own weight and its own input. Where a block's input feeds several readers (its
first convolution and its shortcut), the block quantizes it once for all of them, as GENIE does: then
the residual branch carries few bits too.
"""

from functools import cache
from typing import Any

from torch import Tensor, nn

from engine.core.layout import within_bounds
from engine.core.trace import first_given
from engine.quantization.grids.level_sets import StoredWeight
from engine.quantization.grids.quantizers import ActivationQuantizer, Makers


class QuantLayer:
    """Mixed into Conv2d, Linear or a subclass: its forward reads a quantized input and weight."""

    weight_quantizer: StoredWeight | None
    input_quantizer: ActivationQuantizer | None
    bias: nn.Parameter | None
    _parameters: dict[str, Any]

    @property
    def weight(self) -> Tensor:
        """What the layer computes with: values on the grid, once there is one."""
        if self.weight_quantizer is None:
            return self.float_weight
        values: Tensor = self.weight_quantizer(self.float_weight)
        return values

    @property
    def float_weight(self) -> Tensor:
        weight: Tensor = self._parameters["weight"]
        return weight

    def forward(self, *args: Any, **named: Any) -> Tensor:
        x: Tensor = first_given(args, named)  # a layer may be called with `input=`
        if self.input_quantizer is not None:
            x = self.input_quantizer(x)
        out: Tensor = super().forward(within_bounds(x, self))  # type: ignore[misc, arg-type]
        return out


class QuantInput:
    """Mixed into a block whose input has several readers: quantizes it once for all."""

    input_quantizer: ActivationQuantizer

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        out: Tensor = super().forward(self.input_quantizer(x), *args, **kwargs)  # type: ignore[misc]
        return out


@cache
def _mixed(mixin: type, cls: type[nn.Module]) -> Any:
    return type(f"Quant{cls.__name__}", (mixin, cls), {"__module__": cls.__module__})


def to_quant_layer(
    layer: nn.Module, weight_bits: int, activation_bits: int | None, makers: Makers
) -> None:
    """Make the layer a quantized one, in place; None bits leave its input as it comes."""
    layer.__class__ = _mixed(QuantLayer, type(layer))  # type: ignore[arg-type]
    quantizer = makers.weights(weight_bits)
    quantizer.fit(layer._parameters["weight"])
    layer.weight_quantizer = quantizer
    own = None if activation_bits is None else makers.activations(activation_bits)
    if own is not None and isinstance(layer, nn.Linear):
        own.channel_axis = -1
    layer.register_module("input_quantizer", own)


def to_quant_input(block: nn.Module, activation_bits: int, makers: Makers) -> None:
    """Make the block quantize its own input, in place."""
    block.__class__ = _mixed(QuantInput, type(block))  # type: ignore[arg-type]
    block.input_quantizer = makers.activations(activation_bits)
