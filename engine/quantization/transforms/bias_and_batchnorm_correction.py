"""Corrections after a block is quantized: give outputs back the mean and spread that they had.

Quantization shifts the mean of each channel, and the layers behind were trained on the old one. The
shift is measured on the calibration images, teacher beside student, and taken out: in a layer's bias
(Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019,
section 4.2, with images in the place of its analytical estimate), or in the statistics of a BatchNorm.
Modules are corrected in order of execution, each measured behind the corrected ones before it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from engine.core.trace import watch_inputs, watch_outputs
from engine.quantization.layers import QuantLayer
from engine.quantization.plan import BlockLike

CHUNK = 32  # images at a time; of `momentum`, the mini-batch
MOMENTUM = 0.1  # torch's own
LEAST_RATIO, MOST_RATIO = 0.25, 4.0  # of variances, by `delta`


@dataclass(frozen=True, slots=True)
class Moments:
    """The mean and variance of each channel over images and positions."""

    mean: Tensor
    var: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchNormShift:
    """How far a BatchNorm's input is from its statistics, in its own standard deviations."""

    path: str
    of_images: float  # the teacher on the calibration images: how unlike data they are
    of_bits: float  # the student beside the teacher: what quantization has done


@torch.no_grad()
def correct_block(
    student: nn.Module,
    teacher: nn.Module,
    block: BlockLike,
    *,
    x_teacher: Tensor,
    x_student: Tensor,
    bias: bool,
    batchnorm: str,
) -> list[BatchNormShift]:
    """Correct the block's layers and BatchNorms in place; what was found at each BatchNorm.

    `replace` takes the student's statistics on the images, `momentum` moves the stored ones towards
    them as training would, one mini-batch after another. Where images are unlike data both bring the
    images' own bias in. `delta` cannot: it moves the stored mean by the difference of student and
    teacher on the same images, and scales the variance by their ratio. (It is ours, not the papers'.)
    """
    found = []
    for path in _in_order(student, block, x_student[:1], layers=bias, norms=batchnorm != "none"):
        wanted = Watcher(teacher, block, path).moments(x_teacher)
        watcher = Watcher(student, block, path)
        got = watcher.moments(x_student)
        module = student.get_submodule(path)
        if isinstance(module, nn.BatchNorm2d):
            found.append(_shift(path, module, wanted, got))
            if batchnorm == "momentum":
                for chunk in x_student.split(CHUNK):
                    _move(module, watcher.moments(chunk))
            else:
                _CORRECT[batchnorm](module, wanted, got)
        else:
            _add_to_bias(module, wanted.mean - got.mean)
    return found


def _in_order(
    student: nn.Module, block: BlockLike, x: Tensor, *, layers: bool, norms: bool
) -> list[str]:
    """Paths of the block's layers and BatchNorms, as they are executed."""
    order: dict[str, None] = {}
    kinds = ((QuantLayer,) if layers else ()) + ((nn.BatchNorm2d,) if norms else ())
    paths = [
        path
        for path in inner_paths(student, block)
        if isinstance(student.get_submodule(path), kinds)
    ]
    with watch_outputs(student, paths, lambda path, _: order.setdefault(path)):
        block.run(student, x)
    return [path for path in order if _can_be_corrected(student.get_submodule(path))]


def inner_paths(model: nn.Module, block: BlockLike) -> list[str]:
    """Every module of the block, each once."""
    found: dict[str, None] = {}
    for path in (*block.paths, *block.layers):
        for name, _ in model.get_submodule(path).named_modules():
            found[f"{path}.{name}" if name else path] = None
    return list(found)


def _can_be_corrected(module: nn.Module) -> bool:
    return not isinstance(module, nn.BatchNorm2d) or module.running_mean is not None


class Watcher:
    """Measures what a BatchNorm reads, or what a layer puts out, in one model's block."""

    def __init__(self, model: nn.Module, block: BlockLike, path: str) -> None:
        self._model, self._block, self._path = model, block, path
        module = model.get_submodule(path)
        self._watch = watch_inputs if isinstance(module, nn.BatchNorm2d) else watch_outputs
        self._channels = -1 if isinstance(module, nn.Linear) else 1

    def moments(self, x: Tensor) -> Moments:
        """Of the block on x, in double precision."""
        sums = _Sums(self._channels)
        with self._watch(self._model, [self._path], sums.add):
            for chunk in x.split(CHUNK):
                self._block.run(self._model, chunk)
        return sums.moments()


class _Sums:
    def __init__(self, channels: int) -> None:
        self._channels = channels
        self._count = 0
        self._parts: list[tuple[Tensor, Tensor]] = []

    def add(self, _path: str, values: Tensor) -> None:
        # Channels last, as they lie in memory: to gather each channel's values takes longer than their sums.
        rows = values.movedim(self._channels, -1).flatten(0, -2).double()
        self._count += len(rows)
        self._parts.append((rows.sum(0), rows.square().sum(0)))

    def moments(self) -> Moments:
        first, second = (torch.stack(parts).sum(0) for parts in zip(*self._parts, strict=True))
        mean = first / self._count
        return Moments(mean, (second / self._count - mean.square()).clamp_min(0))


def _add_to_bias(layer: Any, shift: Tensor) -> None:
    old = torch.zeros_like(shift) if layer.bias is None else layer.bias
    layer.bias = nn.Parameter((old + shift).to(layer.float_weight.dtype), requires_grad=False)


def _replace(norm: nn.BatchNorm2d, _wanted: Moments, got: Moments) -> None:
    _set(norm, got.mean, got.var)


def _delta(norm: nn.BatchNorm2d, wanted: Moments, got: Moments) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    # The eps that BatchNorm adds keeps channels that are constant in the images from exploding.
    ratio = (got.var + norm.eps) / (wanted.var + norm.eps)
    ratio = ratio.clamp(LEAST_RATIO, MOST_RATIO)
    _set(norm, norm.running_mean + (got.mean - wanted.mean), norm.running_var * ratio)


def _move(norm: nn.BatchNorm2d, got: Moments) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean = (1 - MOMENTUM) * norm.running_mean + MOMENTUM * got.mean
    _set(norm, mean, (1 - MOMENTUM) * norm.running_var + MOMENTUM * got.var)


def _set(norm: nn.BatchNorm2d, mean: Tensor, var: Tensor) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(var)


_CORRECT: dict[str, Callable[[nn.BatchNorm2d, Moments, Moments], None]] = {
    "replace": _replace,
    "delta": _delta,
}


def _shift(path: str, norm: nn.BatchNorm2d, wanted: Moments, got: Moments) -> BatchNormShift:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    deviation = (norm.running_var + norm.eps).sqrt().double()
    return BatchNormShift(
        path=path,
        of_images=float(((wanted.mean - norm.running_mean).abs() / deviation).mean()),
        of_bits=float(((got.mean - wanted.mean).abs() / deviation).mean()),
    )


def stored_corrections(student: nn.Module, block: BlockLike) -> dict[str, Tensor]:
    """What corrections may have changed, by name: biases of layers and statistics of BatchNorms."""
    state: dict[str, Tensor] = {}
    for path in inner_paths(student, block):
        module = student.get_submodule(path)
        if isinstance(module, QuantLayer) and module.bias is not None:
            state[f"{path}.bias"] = module.bias
        elif isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            assert module.running_var is not None
            state[f"{path}.running_mean"] = module.running_mean
            state[f"{path}.running_var"] = module.running_var
    return state


@torch.no_grad()
def restore_corrections(student: nn.Module, block: BlockLike, state: Mapping[str, Tensor]) -> None:
    """Put them back; a name that is not there (an older run's block) stays as the teacher has it."""
    for path in inner_paths(student, block):
        module = student.get_submodule(path)
        if isinstance(module, QuantLayer) and f"{path}.bias" in state:
            bias = state[f"{path}.bias"].to(module.float_weight.device)
            module.bias = nn.Parameter(bias, requires_grad=False)
        elif isinstance(module, nn.BatchNorm2d) and f"{path}.running_mean" in state:
            _set(module, state[f"{path}.running_mean"], state[f"{path}.running_var"])
