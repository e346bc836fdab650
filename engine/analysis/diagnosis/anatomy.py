"""What a network is made of: every layer with its neighbours, its work and the range of its weights."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
import torch.fx
from torch import Tensor, nn

from engine.core.errors import UserError
from engine.core.sampling.noise_images import noise_images
from engine.core.trace import watch_outputs
from engine.models.graph.blocks import is_layer, trace

HISTOGRAM_BINS = 48
NOTHING = 1e-5  # of a layer's largest weight: a channel below it has been decayed to nothing
# Of the layer's median channel, by weights and behind BatchNorm: below both, a channel says next to nothing.
NEARLY_NOTHING, NEARLY_SILENT = 0.1, 0.05
_BATCHNORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_ACTIVATIONS = (
    "relu", "relu6", "leakyrelu", "silu", "swish", "hardswish", "hardsigmoid", "hardtanh", "gelu",
    "elu", "celu", "selu", "prelu", "mish", "sigmoid", "tanh",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One convolution or linear layer. Sums of work are of one image; ranges are of its float weights."""

    path: str
    kind: str  # conv, depthwise, grouped, pointwise or linear
    shape: list[int]  # of the weight
    parameters: int  # weight and bias
    macs: int  # multiplications with an addition, over all its calls
    output: list[int]  # shape for one image; empty where the layer is never called
    calls: int
    has_bias: bool
    batchnorm_behind: str  # path; empty where there is none
    batchnorm_before: str
    activation: str  # directly behind the layer or its BatchNorm
    low: float
    high: float
    range_ratio: float | None  # largest to smallest range of a living output channel
    dead_channels: int  # output channels whose weights are all (next to) zero
    nearly_dead_channels: (
        int  # further ones that are far below the layer's median, behind BatchNorm too
    )
    channels: dict[str, list[float]]  # low and high of every output channel
    histogram: dict[str, Any]  # edges (low, high), counts

    def plain(self) -> dict[str, Any]:
        """As numbers, words and lists."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Anatomy:
    """The layers in order of execution, and what the forward pass does besides."""

    layers: list[Layer]
    unused: list[str]  # layers that the forward pass never calls
    outputs: (
        int | None
    )  # classes: the width of the logits; None: the output is no plain [n, classes]
    untraceable: str  # why the data flow is hidden; empty where it is seen
    shapes: dict[str, list[int]] = field(default_factory=dict)  # of module outputs, by path

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)


@torch.no_grad()
def dissect(model: nn.Module, image_shape: Sequence[int]) -> Anatomy:
    """Look at the network in one pass of a black image; the model is left as it was."""
    paths = [path for path, module in model.named_modules() if path and _is_leaf(module)]
    calls: Counter[str] = Counter()
    order: list[str] = []
    macs: Counter[str] = Counter()
    shapes: dict[str, list[int]] = {}

    def listen(path: str, y: Any) -> None:
        calls[path] += 1
        order.append(path)
        if isinstance(y, Tensor):
            shapes[path] = list(y.shape[1:])
            macs[path] += _macs(model.get_submodule(path), y)

    with watch_outputs(model, paths, listen):
        logits = model(noise_images(1, image_shape, model))
    neighbours, untraceable = _neighbours(model)
    layers = [path for path in dict.fromkeys(order) if is_layer(model.get_submodule(path))]
    all_layers = [path for path in paths if is_layer(model.get_submodule(path))]
    found = [
        _layer(path, model, neighbours.get(path, _Neighbours()), calls[path], macs[path],
               shapes.get(path, []))
        for path in layers
    ]  # fmt: skip
    return Anatomy(
        layers=found,
        unused=[path for path in all_layers if path not in calls],
        outputs=logits.shape[1] if isinstance(logits, Tensor) and logits.ndim == 2 else None,
        untraceable=untraceable,
        shapes=shapes,
    )


def _is_leaf(module: nn.Module) -> bool:
    return is_layer(module) or next(module.children(), None) is None


def _macs(module: nn.Module, y: Tensor) -> int:
    """Of one image: every output number is a sum of so many products. Biases are not counted."""
    if isinstance(module, nn.Conv2d):
        height, width = module.kernel_size
        return y[0].numel() * (module.in_channels // module.groups) * height * width
    return y[0].numel() * module.in_features if isinstance(module, nn.Linear) else 0


def kind_of(module: nn.Module) -> str:
    """What sort of layer it is, in the field's words."""
    if not isinstance(module, nn.Conv2d):
        return "linear"
    if module.groups > 1:
        return "depthwise" if module.groups == module.in_channels else "grouped"
    return "pointwise" if module.kernel_size == (1, 1) else "conv"


def _layer(
    path: str, model: nn.Module, near: "_Neighbours", calls: int, macs: int, output: list[int]
) -> Layer:
    module = model.get_submodule(path)
    weight = module._parameters["weight"]
    assert weight is not None
    rows = weight.detach().float().flatten(1)
    low, high = rows.amin(1), rows.amax(1)
    size = torch.maximum(low.abs(), high.abs())
    dead = ~(size > NOTHING * size.amax())
    nearly = ~dead & _nearly_dead(size, dead, _gains(model, near.behind, len(size)))
    alive = size[~(dead | nearly)]
    finite = rows[rows.isfinite()]
    ends = (float(finite.min()), float(finite.max())) if finite.numel() else (0.0, 0.0)
    counts = torch.histc(finite, HISTOGRAM_BINS, *ends) if ends[0] < ends[1] else torch.zeros(0)
    return Layer(
        path=path, kind=kind_of(module), shape=list(weight.shape),
        parameters=sum(p.numel() for p in module.parameters(recurse=False)),
        macs=macs, output=output, calls=calls, has_bias=module._parameters.get("bias") is not None,
        batchnorm_behind=near.behind, batchnorm_before=near.before, activation=near.activation,
        low=_short(ends[0]), high=_short(ends[1]),
        range_ratio=_short(float(alive.max() / alive.min())) if alive.numel() else None,
        dead_channels=int(dead.sum()), nearly_dead_channels=int(nearly.sum()),
        channels={"low": [_short(v) for v in low.tolist()], "high": [_short(v) for v in high.tolist()]},
        histogram={"ends": [_short(e) for e in ends], "counts": [int(n) for n in counts.tolist()]},
    )  # fmt: skip


def _nearly_dead(size: Tensor, dead: Tensor, gains: Tensor) -> Tensor:
    """Channels of so small weights that BatchNorm does not bring back: training has all but decayed them.

    A channel whose small weights BatchNorm does bring back is alive, and of another range than the others.
    """
    if bool(dead.all()):
        return dead
    heard = size * gains
    small = size < NEARLY_NOTHING * size[~dead].median()
    return small & (heard < NEARLY_SILENT * heard[~dead].median())


def _gains(model: nn.Module, batchnorm: str, channels: int) -> Tensor:
    """What the BatchNorm behind multiplies each channel by; 1 where there is none."""
    norm = model.get_submodule(batchnorm) if batchnorm else None
    variance = getattr(norm, "running_var", None)
    if not isinstance(variance, Tensor) or len(variance) != channels:
        return torch.ones(channels)
    gains = 1 / (variance.detach() + getattr(norm, "eps", 0.0)).sqrt()
    scale = getattr(norm, "weight", None)
    return (gains if scale is None else gains * scale.detach().abs()).cpu().float()


def _short(value: float) -> float:
    """Four digits, so that a network of many channels stays small as text; not a number becomes 0."""
    return float(f"{value:.4g}") if value - value == 0 else 0.0


# --- what stands around a layer -----------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Neighbours:
    behind: str = ""
    before: str = ""
    activation: str = ""


def _neighbours(model: nn.Module) -> tuple[dict[str, _Neighbours], str]:
    """By a layer's path what stands around its first call; and why that cannot be seen, if it cannot."""
    try:
        graph = trace(model)
    except UserError as error:
        return {}, str(error)
    found: dict[str, _Neighbours] = {}
    for node in graph.nodes:
        if node.op == "call_module" and is_layer(model.get_submodule(str(node.target))):
            found.setdefault(str(node.target), _around(model, node))
    return found, ""


def _around(model: nn.Module, node: torch.fx.Node) -> _Neighbours:
    reader = _only_reader(node)
    behind = "" if reader is None else _batchnorm(model, reader)
    if behind and reader is not None:
        reader = _only_reader(reader)
    activation = "" if reader is None else activation_of(model, reader)
    source = node.all_input_nodes[0] if node.all_input_nodes else None
    before = ""
    if source is not None:  # directly before it, or before the activation that it reads
        before = _batchnorm(model, source)
        if not before and activation_of(model, source) and source.all_input_nodes:
            before = _batchnorm(model, source.all_input_nodes[0])
        if before and _is_behind_a_layer(model, source, before):
            before = ""  # it is the one behind the layer before
    return _Neighbours(behind=behind, before=before, activation=activation)


def _only_reader(node: torch.fx.Node) -> torch.fx.Node | None:
    readers = list(node.users)
    return readers[0] if len(readers) == 1 else None


def _batchnorm(model: nn.Module, node: torch.fx.Node) -> str:
    if node.op != "call_module":
        return ""
    path = str(node.target)
    return path if isinstance(model.get_submodule(path), _BATCHNORMS) else ""


def _is_behind_a_layer(model: nn.Module, node: torch.fx.Node, batchnorm: str) -> bool:
    while node.op != "call_module" or str(node.target) != batchnorm:
        node = node.all_input_nodes[0]
    source = node.all_input_nodes[0]
    return source.op == "call_module" and is_layer(model.get_submodule(str(source.target)))


def activation_of(model: nn.Module, node: torch.fx.Node) -> str:
    """The name of the activation that the node computes, in lower case; empty where it computes none."""
    if node.op == "call_module":
        name = type(model.get_submodule(str(node.target))).__name__
    elif node.op in ("call_function", "call_method"):
        name = getattr(node.target, "__name__", str(node.target))
    else:
        return ""
    plain = name.lower().replace("_", "")
    return plain if plain in _ACTIVATIONS else ""
