"""BatchNorm folded into the layer before it: a scale and a bias a channel, and the same codes.

y = α · (W x + b) + β, with α = γ / √(σ² + ε) and β = shift − α μ, is a convolution with the step sizes
|α| s and the bias α b + β. Where α is below 0 the codes are counted from the other end of the grid, so that
step sizes stay positive (Jacob et al., CVPR 2018, section 3.2, fold before the grid is chosen; here the
codes are there already, and stay what they are).
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch.fx import Node

from engine.export.graph.trace import Traced
from engine.export.network import Network, WeightGrid

_CONVOLUTIONS = ("aten.conv2d.default", "aten.conv2d.padding")
_BATCHNORM = "aten._native_batch_norm_legit_no_training.default"
Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """A convolution that has taken the BatchNorm behind it in."""

    path: str  # of the layer, for the names of its tensors
    weight: WeightGrid | NDArray[np.float32]  # codes where it has some, else floats
    bias: NDArray[np.float32]


def fold(traced: Traced, network: Network) -> tuple[dict[Node, Folded], set[Node]]:
    """What each such convolution becomes, and the BatchNorms that are gone.

    A convolution keeps its BatchNorm where others read it too, or where its weights serve several.
    """
    folded: dict[Node, Folded] = {}
    gone: set[Node] = set()
    for norm in traced.graph.nodes:
        if str(norm.target) != _BATCHNORM:
            continue
        layer = norm.args[0]
        if (
            str(layer.target) in _CONVOLUTIONS
            and len(layer.users) == 1
            and len(layer.args[1].users) == 1
            and all(isinstance(n, Node) and n.name in traced.tensors for n in _read(layer, norm))
        ):
            folded[layer] = _folded(layer, norm, traced, network)
            gone.add(norm)
    return folded, gone


def _read(layer: Node, norm: Node) -> list[Node]:
    bias = layer.args[2] if len(layer.args) > 2 else None
    return [one for one in (layer.args[1], bias, *norm.args[1:5]) if one is not None]  # type: ignore[misc]


def _folded(layer: Node, norm: Node, traced: Traced, network: Network) -> Folded:
    def values(node: object) -> Doubles | None:
        return traced.tensors[node.name][1].astype(np.float64) if isinstance(node, Node) else None

    gamma, shift, mean, var = (values(node) for node in norm.args[1:5])
    assert mean is not None
    assert var is not None
    eps = norm.args[6]
    assert isinstance(eps, float)
    alpha = (1.0 if gamma is None else gamma) / np.sqrt(var + eps)
    beta = (0.0 if shift is None else shift) - alpha * mean
    bias = values(layer.args[2]) if len(layer.args) > 2 else None
    beta = beta + (0.0 if bias is None else alpha * bias)
    name, weight = traced.tensors[layer.args[1].name]  # type: ignore[union-attr,index]
    path = name.rpartition(".")[0]
    grid = network.weights.get(path)
    made: WeightGrid | NDArray[np.float32]
    if grid is None or grid.scale is None:
        spread = alpha.reshape(-1, *[1] * (weight.ndim - 1))
        made = (weight.astype(np.float64) * spread).astype(np.float32)
    else:
        made = scaled(grid, alpha)
    return Folded(path=path, weight=made, bias=beta.astype(np.float32))


def scaled(grid: WeightGrid, alpha: Doubles) -> WeightGrid:
    """The grid whose values are alpha [channels] times those of this one; step sizes stay positive."""
    assert grid.scale is not None
    assert grid.zero_point is not None
    top = np.uint8(2**grid.bits - 1)
    turned = alpha < 0
    mask = turned.reshape(-1, *[1] * (grid.codes.ndim - 1))
    return replace(
        grid,
        codes=np.where(mask, top - grid.codes, grid.codes),
        zero_point=np.where(turned, top - grid.zero_point, grid.zero_point),
        scale=(grid.scale.astype(np.float64) * np.abs(alpha)).astype(np.float32),
    )
