"""The student: a copy of the teacher whose layers are quantized, as a plan says."""

import copy
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from engine.core.trace import watch_inputs
from engine.quantization.grids.level_sets import StoredWeight
from engine.quantization.grids.quantizers import ActivationQuantizer, Makers
from engine.quantization.layers import QuantInput, QuantLayer, to_quant_input, to_quant_layer
from engine.quantization.plan import BlockLike, LayerBits
from engine.quantization.transforms.bias_and_batchnorm_correction import (
    restore_corrections,
    stored_corrections,
)


def make_student(
    teacher: nn.Module,
    blocks: Sequence[BlockLike],
    plan: Mapping[str, LayerBits],
    makers: Makers = Makers(),  # noqa: B008  (frozen)
) -> nn.Module:
    """A quantized copy: weights at nearest codes, activations yet to be fitted by their first input."""
    student = copy.deepcopy(teacher)
    for bits in plan.values():
        own_input = None if bits.by_block else bits.activation_bits
        to_quant_layer(student.get_submodule(bits.path), bits.weight_bits, own_input, makers)
    for block in blocks:
        # Only what a layer reads is quantized: where BatchNorm alone reads a block's input (before an
        # activation and a convolution), there is no layer to share its bits with the shortcut.
        shared = [plan[path].activation_bits for path in block.readers if plan[path].by_block]
        few = [bits for bits in shared if bits is not None]  # None: the image, left as it is
        if few:
            to_quant_input(student.get_submodule(block.paths[0]), max(few), makers)
    return student


def quantizers(
    student: nn.Module, block: BlockLike
) -> Iterator[tuple[str, StoredWeight | ActivationQuantizer]]:
    """(path, quantizer) of all that a block quantizes: weights, layer inputs, its own input."""
    for path in dict.fromkeys((*block.paths, *block.layers)):
        module = student.get_submodule(path)
        if isinstance(module, (QuantInput, QuantLayer)) and module.input_quantizer is not None:
            yield f"{path}.input", module.input_quantizer
        if isinstance(module, QuantLayer) and module.weight_quantizer is not None:
            yield f"{path}.weight", module.weight_quantizer


_LAYOUT = "layout:"  # before the name of a tensor of a block: its strides, where they are not the plain ones


def stored_block(student: nn.Module, block: BlockLike) -> dict[str, Tensor]:
    """All that a finished block has learned, by name."""
    state = {k: v.detach().clone() for k, v in stored_corrections(student, block).items()}
    for name, quantizer in quantizers(student, block):
        for key, value in quantizer.stored().items():
            state[f"{name}.{key}"] = value.detach().clone().contiguous()
            if value.stride() != torch.empty(value.shape, device="meta").stride():
                state[f"{_LAYOUT}{name}.{key}"] = torch.tensor(value.stride())
    return state


def laid_out(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a stored block in the memory layout that they had.

    A product may be summed in another order where its factors lie in memory differently, or begin at an
    odd address, as in a file: then what comes behind a block that was put back would differ in its last
    bit from what came behind it at first.
    """
    return {
        name: _with_strides(value, state.get(_LAYOUT + name))
        for name, value in state.items()
        if not name.startswith(_LAYOUT)
    }


def _with_strides(value: Tensor, stride: Tensor | None) -> Tensor:
    strides = [] if stride is None else stride.tolist()
    if not _is_dense(value.shape, strides):
        return value.clone()
    return torch.empty_strided(value.shape, strides, dtype=value.dtype).copy_(value)


def _is_dense(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether each element has a place in memory of its own, and no place is left empty."""
    if len(strides) != len(shape):
        return False
    wanted = 1
    for step, size in sorted(zip(strides, shape, strict=True)):
        if size > 1 and step != wanted:
            return False
        wanted *= size
    return True


def restore_block(student: nn.Module, block: BlockLike, state: Mapping[str, Tensor]) -> None:
    """Put a finished block back as it was stored."""
    for name, quantizer in quantizers(student, block):
        start = f"{name}."
        quantizer.restore(
            {k.removeprefix(start): v for k, v in state.items() if k.startswith(start)}
        )
    restore_corrections(student, block, state)


@torch.no_grad()
def fit_block(student: nn.Module, block: BlockLike, x: Tensor) -> None:
    """Fit every activation of the block in one pass over the first images, weights still float.

    Layers behind others in the block see inputs that are already quantized, as they will be later.
    """
    layers = [student.get_submodule(path) for path in block.layers]
    kept = [layer.weight_quantizer for layer in layers]
    for layer in layers:
        layer.register_module("weight_quantizer", None)
    try:
        runs: Counter[str] = Counter()
        with watch_inputs(student, block.layers, lambda path, _: runs.update([path])):
            block.run(student, x)
        repeated = [path for path in block.layers if runs[path] > 1]
        if repeated:
            _fit_repeated(student, block, x, repeated)
    finally:
        for layer, quantizer in zip(layers, kept, strict=True):
            layer.weight_quantizer = quantizer


def _fit_repeated(student: nn.Module, block: BlockLike, x: Tensor, repeated: Sequence[str]) -> None:
    """Fit layers that run several times to all that they read, and the others anew behind them.

    A grid of the first run alone would clip what the same layer reads later.
    """
    inputs: dict[str, list[Tensor]] = {path: [] for path in repeated}
    with watch_inputs(student, repeated, lambda path, seen: inputs[path].append(seen.clone())):
        block.run(student, x)
    for path in block.layers:
        quantizer: Any = student.get_submodule(path).input_quantizer
        if quantizer is None:
            continue
        if path in inputs:
            quantizer.fit_all(inputs[path])
        else:
            quantizer.fitted = False
    block.run(student, x)
