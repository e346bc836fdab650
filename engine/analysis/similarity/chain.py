"""Chain normalization: each channel brought to one scale, so that networks of one function compare as equal.

Inspired by the chain normalization rule of arXiv 2208.04369, of which only the abstract could be had; the
rule here is our own. Behind a ReLU a channel can be made s times as large and its readers' weights 1/s
times: nothing changes but the weights. Each channel's row of weights and bias is brought to norm 1, and the
readers take the norm over. The channels of a residual stream share one factor, that of the first layer that
writes them: the mean over all its writers would depend on itself, since later writers read the stream.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class ChainLayer:
    """A layer with its BatchNorm folded in, and the streams of channels that it reads and writes.

    weight: (outputs, inputs / groups, ...). bias: (outputs,), or none. `reads` is none where the layer reads
    the image, `writes` is none where it writes the network's answer: their scales are left alone. All layers
    that add into one residual stream write the same stream.
    """

    weight: Tensor
    bias: Tensor | None
    reads: str | None
    writes: str | None
    groups: int = 1


def chain_normalized(layers: Sequence[ChainLayer]) -> list[ChainLayer]:
    """The layers, in order of execution, with each channel's scale moved on to its readers.

    The function stays if all between the layers is positively homogeneous: ReLU, pooling, sums.
    A channel whose first writer is all zeros keeps its scale.
    """
    scales: dict[str, Tensor] = {}
    normal = []
    for layer in layers:
        if layer.reads is not None:
            layer = replace(layer, weight=layer.weight * _of_inputs(layer, scales[layer.reads]))
        if layer.writes is not None:
            if layer.writes not in scales:
                scales[layer.writes] = _row_norms(layer)
            scale = scales[layer.writes]
            weight = layer.weight / scale.reshape(-1, *[1] * (layer.weight.dim() - 1))
            layer = replace(
                layer, weight=weight, bias=None if layer.bias is None else layer.bias / scale
            )
        normal.append(layer)
    return normal


def layer_cosines(first: Sequence[ChainLayer], second: Sequence[ChainLayer]) -> list[float]:
    """The cosine between each two layers' weights and biases, -1 to 1; as they are, so normalize both first.

    Raises ValueError where the layers differ in number or shape.
    """
    if [x.weight.shape for x in first] != [x.weight.shape for x in second]:
        raise ValueError("the two networks differ in the number or the shapes of their layers")
    pairs = zip(map(_flat, first), map(_flat, second), strict=True)
    return [float(torch.cosine_similarity(one, other, dim=0)) for one, other in pairs]


def _row_norms(layer: ChainLayer) -> Tensor:
    rows = layer.weight.flatten(1)
    if layer.bias is not None:
        rows = torch.cat([rows, layer.bias[:, None]], 1)
    norms = rows.norm(dim=1)
    return torch.where(norms > 0, norms, 1.0)


def _of_inputs(layer: ChainLayer, scale: Tensor) -> Tensor:
    """The scale of what each weight reads, in a shape that multiplies the weight."""
    outputs, inputs = layer.weight.shape[:2]
    # a linear layer behind a flattening reads each channel at several places in a row
    spread = scale.repeat_interleave(inputs * layer.groups // len(scale))
    rows = spread.reshape(layer.groups, inputs).repeat_interleave(outputs // layer.groups, 0)
    return rows.reshape(outputs, inputs, *[1] * (layer.weight.dim() - 2))


def _flat(layer: ChainLayer) -> Tensor:
    parts = [layer.weight.flatten()] + ([] if layer.bias is None else [layer.bias])
    return torch.cat(parts).double()
