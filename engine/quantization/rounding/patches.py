"""What a layer reads, as a matrix: its columns are patches, so that a convolution is W · X.

Both networks are asked for the same patches: the teacher gives X, the student (its earlier layers and
this layer's own input already quantized) gives X̃.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.core.trace import watch_inputs
from engine.quantization.layers import QuantInput
from engine.quantization.plan import BlockLike

CHUNK = 32
_HELD_OUT = 8  # every eighth image is kept back, to see whether what is learned also holds there


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchSettings:
    """Which patches of the calibration images a layer is rounded for."""

    share: float  # of the patches of an image, at random
    overlap: bool  # patches as the layer sees them; else side by side, without overlap
    most: int  # patches of all images together


@dataclass(frozen=True, slots=True)
class LayerProblem:
    """W and what it reads; g groups, o outputs and d inputs of each, m patches."""

    weight: Tensor  # [g, o, d]
    levels: Tensor  # [g, o, levels], rising
    x_teacher: Tensor  # [g, d, m]
    x_student: Tensor
    held_teacher: Tensor  # [g, d, k], of images kept back; k may be 0
    held_student: Tensor

    def error(self, weight: Tensor, *, held_out: bool) -> float:
        """‖W X − Ŵ X̃‖ / ‖W X‖ of other weights [g, o, d]."""
        pair = (self.held_teacher, self.held_student)
        x, seen = pair if held_out else (self.x_teacher, self.x_student)
        wanted = self.weight @ x
        return float((wanted - weight @ seen).norm() / wanted.norm().clamp_min(1e-12))


@torch.no_grad()
def layer_problem(
    student: nn.Module,
    block: BlockLike,
    path: str,
    *,
    x_teacher: Tensor,
    x_student: Tensor,
    settings: PatchSettings,
    rng: torch.Generator,
) -> LayerProblem:
    """The problem of one layer, with the student as it is now."""
    layer: Any = student.get_submodule(path)
    groups = layer.groups if isinstance(layer, nn.Conv2d) else 1
    state = rng.get_state()
    with as_float(student, block):
        wanted = _patches(student, block, path, x_teacher, settings, rng)
    rng.set_state(state)  # the same patches again
    seen = _patches(student, block, path, x_student, settings, rng)
    held = torch.arange(len(wanted)) % _HELD_OUT == _HELD_OUT - 1
    parts = [_matrix(part, groups) for x in (wanted, seen) for part in (x[~held], x[held])]
    weight = layer.float_weight.detach()
    return LayerProblem(
        weight=weight.reshape(groups, len(weight) // groups, -1),
        levels=layer.weight_quantizer.levels().view(groups, len(weight) // groups, -1),
        x_teacher=parts[0],
        held_teacher=parts[1],
        x_student=parts[2],
        held_student=parts[3],
    )


@contextmanager
def as_float(student: nn.Module, block: BlockLike) -> Iterator[None]:
    """Inside, the block computes as the teacher's does: nothing in it is quantized."""
    kept: list[tuple[Any, Any, Any]] = []
    for path in dict.fromkeys((*block.paths, *block.layers)):
        module: Any = student.get_submodule(path)
        own = getattr(module, "input_quantizer", None), getattr(module, "weight_quantizer", None)
        if own == (None, None):
            continue
        kept.append((module, *own))
        module.input_quantizer = nn.Identity() if isinstance(module, QuantInput) else None
        if own[1] is not None:
            module.weight_quantizer = None
    try:
        yield
    finally:
        for module, activation, weights in kept:
            module.input_quantizer = activation
            if weights is not None:
                module.weight_quantizer = weights


def _patches(
    model: nn.Module,
    block: BlockLike,
    path: str,
    x: Tensor,
    settings: PatchSettings,
    rng: torch.Generator,
) -> Tensor:
    """[images, rows, patches] of what the layer reads in the block."""
    layer: Any = model.get_submodule(path)
    found: list[Tensor] = []
    images = len(x)

    def listen(_path: str, values: Tensor) -> None:
        if layer.input_quantizer is not None:
            values = layer.input_quantizer(values)
        columns = unfolded(layer, values, overlap=settings.overlap)
        count = columns.shape[-1]
        keep = max(1, min(round(settings.share * count), settings.most // images, count))
        order = torch.rand(len(columns), count, generator=rng).argsort(1)[:, :keep]
        index = order.to(columns.device)[:, None].expand(-1, columns.shape[1], -1)
        found.append(columns.gather(2, index))

    with watch_inputs(model, [path], listen):
        for chunk in x.split(CHUNK):
            block.run(model, chunk)
    return torch.cat(found)


def unfolded(layer: nn.Module, x: Tensor, *, overlap: bool = True) -> Tensor:
    """[images, rows, positions]: what a convolution or linear layer multiplies its weights with."""
    if not isinstance(layer, nn.Conv2d):
        return x.flatten(1, -2).mT if x.dim() > 2 else x[..., None]
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    padded = F.pad(x, layer._reversed_padding_repeated_twice, mode=mode)
    kernel = (layer.kernel_size[0], layer.kernel_size[1])
    stride: Any = layer.stride if overlap else kernel
    return F.unfold(padded, kernel, dilation=layer.dilation, stride=stride)


def _matrix(columns: Tensor, groups: int) -> Tensor:
    """[g, d, m] of [images, rows, patches]."""
    images, rows, patches = columns.shape
    flat = columns.permute(1, 0, 2).reshape(rows, images * patches)
    return flat.view(groups, rows // groups, -1).contiguous()
