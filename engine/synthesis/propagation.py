"""What statistics to expect behind every convolution, computed from a network's weights alone.

The input is taken for N(0, 1), values for independent and normally distributed: a convolution then
gives the mean Σ w·m + b and the variance Σ w²·v; what follows is worked out from there, operation by
operation. No image is needed, and no BatchNorm (one that is there is the affine map that it is).
"""

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.fx
from torch import Tensor, nn
from torch.nn import functional as F

from engine.core.errors import UserError
from engine.models.blocks import trace
from engine.synthesis.moments import EPS, Moments

_GRID = torch.linspace(-6, 6, 481, dtype=torch.float64)[:, None]  # standard deviations
_DENSITY = torch.exp(-_GRID.square() / 2)
_BELOW = 0.5 * (1 + torch.erf(_GRID / math.sqrt(2)))

Function = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Spread:
    """A node's mean and variance per channel; as a function of a normal variable, where it is one."""

    mean: Tensor  # [channels], float64
    variance: Tensor
    normal: tuple[Tensor, Tensor] | None = None  # mean and std of the variable
    function: Function | None = None

    def through(self, function: Function, among: int = 1) -> "Spread":
        """Of function(x), or of the greatest of so many independent x (function rising)."""
        weights = _DENSITY * _BELOW ** (among - 1)
        weights = weights / weights.sum()
        values = function(self.mean + self.variance.sqrt() * _GRID)
        mean = (weights * values).sum(0)
        variance = (weights * (values - mean).square()).sum(0)
        return Spread(mean, variance, (self.mean, self.variance.sqrt()), function)

    def greatest(self, among: int) -> "Spread":
        """Of the greatest of so many: an activation before is followed through, as max commutes with it."""
        if self.normal is None or self.function is None:
            return Spread(self.mean, self.variance).through(lambda x: x, among)
        mean, std = self.normal
        return Spread(mean, std.square()).through(self.function, among)


def expected_outputs(teacher: nn.Module, shape: tuple[int, int, int]) -> dict[str, Moments]:
    """The moments behind each convolution by its path, in order of execution, for N(0, 1) images.

    UserError where the network cannot be traced, or does before its last convolution what cannot be
    followed.
    """
    graph = trace(teacher)
    walk = _Propagation(torch.fx.GraphModule(teacher, graph), shape)
    device = next(teacher.parameters()).device
    with torch.no_grad():
        walk.run(torch.zeros(1, *shape, device=device))
    return {
        path: Moments(s.mean.float().to(device), (s.variance + EPS).sqrt().float().to(device))
        for path, s in walk.convolutions.items()
    }


class _Propagation(torch.fx.Interpreter):
    """Runs the network on an empty image, for the shapes, and carries spreads along."""

    def __init__(self, module: torch.fx.GraphModule, shape: tuple[int, int, int]) -> None:
        super().__init__(module, garbage_collect_values=False)
        self._channels = shape[0]
        self.convolutions: dict[str, Spread] = {}
        self._spreads: dict[torch.fx.Node, Spread | None] = {}

    def run_node(self, n: torch.fx.Node) -> Any:
        result = super().run_node(n)
        self._spreads[n] = self._follow(n, result) if isinstance(result, Tensor) else None
        return result

    def _follow(self, n: torch.fx.Node, result: Tensor) -> Spread | None:
        if n.op == "placeholder":
            one = torch.ones(self._channels, dtype=torch.float64)
            return Spread(0 * one, one)
        spreads = [self._spreads.get(source) for source in n.all_input_nodes]
        known = [spread for spread in spreads if spread is not None]
        module = self.module.get_submodule(str(n.target)) if n.op == "call_module" else None
        if isinstance(module, nn.Conv2d):
            if not known:
                source = n.all_input_nodes[0]
                raise UserError(
                    f"statistics cannot be followed through {source.name!r} ({source.target}), which "
                    f"convolution {n.target!r} reads; set synthesis.targets=literal"
                )
            self.convolutions[str(n.target)] = _convolved(known[0], module)
            return self.convolutions[str(n.target)]
        if not known:
            return None
        if module is not None:
            return self._module(known[0], module, n, result)
        return self._call(known, n, result)

    def _module(
        self, x: Spread, module: nn.Module, n: torch.fx.Node, result: Tensor
    ) -> Spread | None:
        if isinstance(module, nn.BatchNorm2d):
            return _normalised(x, module)
        if isinstance(module, (nn.Identity, nn.Dropout, nn.Dropout2d, nn.Upsample)):
            return x
        if isinstance(module, (nn.AvgPool2d, nn.AdaptiveAvgPool2d)):
            return self._averaged(x, n, result)
        if isinstance(module, nn.MaxPool2d):
            return x.greatest(_area(module.kernel_size))
        if isinstance(module, _ACTIVATIONS):
            return x.through(lambda values: module(values.to(_dtype(module))).double())
        return None

    def _call(self, known: list[Spread], n: torch.fx.Node, result: Tensor) -> Spread | None:
        x, target = known[0], n.target
        if target in _ELEMENTWISE:
            function: Any = _ELEMENTWISE[target]
            rest, named = n.args[1:], {k: v for k, v in n.kwargs.items() if k != "inplace"}
            return x.through(lambda values: function(values, *rest, **named))
        if target in (F.avg_pool2d, F.adaptive_avg_pool2d, "mean"):
            return self._averaged(x, n, result)
        if target is F.max_pool2d:
            return x.greatest(_area(n.args[1] if len(n.args) > 1 else n.kwargs["kernel_size"]))
        if target in (F.dropout, "contiguous", F.interpolate, F.pad):
            return x
        if len(known) == 2 and target in (operator.add, operator.iadd, torch.add, "add", "add_"):
            return Spread(x.mean + known[1].mean, x.variance + known[1].variance)
        if len(known) == 2 and target in (operator.mul, operator.imul, torch.mul, "mul", "mul_"):
            return _product(x, known[1])
        if target is torch.cat and len(known) == len(n.all_input_nodes):
            return Spread(
                torch.cat([each.mean for each in known]),
                torch.cat([each.variance for each in known]),
            )
        return None

    def _averaged(self, x: Spread, n: torch.fx.Node, result: Tensor) -> Spread:
        before = self.env[n.all_input_nodes[0]]
        pixels = before[0, 0].numel() / max(result[0].numel() / before.shape[1], 1)
        return Spread(x.mean, x.variance / max(pixels, 1))


def _convolved(x: Spread, conv: nn.Conv2d) -> Spread:
    """Per group: the weights [out, in / groups] times what each input channel brings."""
    weight = conv.weight.detach().double().cpu()
    groups = conv.groups
    each = weight.shape[0] // groups

    def apply(per_channel: Tensor, kernel: Tensor) -> Tensor:
        summed = kernel.sum((2, 3)).view(groups, each, -1)
        return (summed * per_channel.view(groups, 1, -1)).sum(-1).flatten()

    mean = apply(x.mean, weight)
    if conv.bias is not None:
        mean = mean + conv.bias.detach().double().cpu()
    return Spread(mean, apply(x.variance, weight.square()))


def _normalised(x: Spread, norm: nn.BatchNorm2d) -> Spread:
    def vector(value: Tensor | None, default: float) -> Tensor:
        if value is None:
            return torch.full_like(x.mean, default)
        return value.detach().double().cpu()

    scale = vector(norm.weight, 1.0) / (vector(norm.running_var, 1.0) + norm.eps).sqrt()
    mean = (x.mean - vector(norm.running_mean, 0.0)) * scale + vector(norm.bias, 0.0)
    return Spread(mean, x.variance * scale.square())


def _product(x: Spread, y: Spread) -> Spread:
    variance = (x.variance + x.mean.square()) * (y.variance + y.mean.square())
    return Spread(x.mean * y.mean, variance - (x.mean * y.mean).square())


def _area(kernel: Any) -> int:
    return int(kernel) ** 2 if isinstance(kernel, int) else int(kernel[0]) * int(kernel[1])


def _dtype(module: nn.Module) -> torch.dtype:
    """That of the module's own parameters (PReLU), else double."""
    return next((p.dtype for p in module.parameters()), torch.float64)


_ACTIVATIONS = (
    nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish, nn.LeakyReLU, nn.GELU, nn.ELU, nn.Mish, nn.PReLU, nn.Sigmoid,
    nn.Hardsigmoid, nn.Tanh, nn.Hardtanh,
)  # fmt: skip
_ELEMENTWISE: dict[Any, Any] = {
    torch.relu: torch.relu, F.relu: F.relu, "relu": torch.relu, "relu_": torch.relu, F.relu6: F.relu6,
    F.silu: F.silu, F.hardswish: F.hardswish, F.gelu: F.gelu, F.elu: F.elu, F.leaky_relu: F.leaky_relu,
    F.hardsigmoid: F.hardsigmoid, F.hardtanh: F.hardtanh, torch.sigmoid: torch.sigmoid,
    "sigmoid": torch.sigmoid, torch.tanh: torch.tanh, "tanh": torch.tanh, torch.clamp: torch.clamp,
    "clamp": torch.clamp,
}  # fmt: skip
