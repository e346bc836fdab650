"""The student as plain data: grids by layer, and a module that a tracer can follow to its end."""

import copy
from typing import Any, cast

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.core.errors import UserError
from engine.core.sampling.noise_images import noise_images
from engine.core.trace import watch_inputs
from engine.export.graph.levels import EvenLevels, ListedLevels
from engine.export.network import InputGrid, NestedCodes, Network, WeightGrid
from engine.models.graph.blocks import Block
from engine.quantization.grids.gaussian_steps import GaussianInput
from engine.quantization.grids.level_sets import WeightCodes
from engine.quantization.grids.quantizers import ActivationQuantizer, WeightQuantizer
from engine.quantization.grids.rounding_borders import BorderQuantizer
from engine.quantization.grids.sign_activation import SignActivation
from engine.quantization.grids.weights.learned_basis import BasisActivationQuantizer
from engine.quantization.grids.weights.nested import STORED_BITS, NestedWeightCodes
from engine.quantization.layers import QuantInput, QuantLayer
from engine.run.context import Context


@torch.no_grad()
def plain_network(context: Context, student: nn.Module) -> Network:
    """The finished student as plain data; it is left as it is."""
    module = copy.deepcopy(student).cpu().eval()
    weights: dict[str, WeightGrid] = {}
    composed: list[str] = []
    inputs: dict[str, InputGrid] = {}
    for path, part in list(module.named_modules()):
        if isinstance(part, QuantLayer) and part.weight_quantizer is not None:
            codes = part.weight_quantizer.single()
            if codes is None:
                composed.append(path)
            else:
                weights[path] = _weight_grid(codes)
            values = part.weight.detach().clone().contiguous()
            part._parameters["weight"] = nn.Parameter(values, requires_grad=False)
            cast(Any, part).weight_quantizer = None
        if isinstance(part, (QuantLayer, QuantInput)) and part.input_quantizer is not None:
            inputs[path] = _input_grid(path, part.input_quantizer)
            cast(nn.Module, part).register_module("input_quantizer", _fixed(part.input_quantizer))
    state = _state(context.teacher, module)
    mean, std = context.normalisation
    return Network(
        module=module,
        image_shape=context.card.image_shape,
        weights=weights,
        inputs=inputs,
        state=state,
        added=tuple(sorted(state.keys() - context.teacher.state_dict().keys())),
        ends=_ends(context, module),
        composed=tuple(composed),
        nested=nested_layers(student),
        facts={
            "model": context.recipe.model,
            "mean": list(mean),
            "std": list(std),
            "classes": list(context.card.classes),
        },
    )


def nested_layers(student: nn.Module) -> dict[str, NestedCodes] | None:
    """The whole codes of all layers, for a file of planes; None where weights have no nested codes.

    Layers that keep 8 bits where others have fewer, as first and last do, are kept whole there.
    """
    found = {
        path: part.weight_quantizer
        for path, part in student.named_modules()
        if isinstance(part, QuantLayer) and part.weight_quantizer is not None
    }
    codes = {path: one for path, one in found.items() if isinstance(one, NestedWeightCodes)}
    if not codes or len(codes) < len(found):
        return None
    fewest = min(one.bits for one in codes.values())
    return {
        path: NestedCodes(
            codes=_array(one.nested), clips=_array(one.clip.flatten()), factors=_array(one.factors),
            whole=one.bits == STORED_BITS > fewest,
        )
        for path, one in codes.items()
    }  # fmt: skip


def float_network(context: Context) -> Network:
    """The teacher in the same form, with nothing quantized: what the file is compared with."""
    module = copy.deepcopy(context.teacher).cpu().eval()
    shape = context.card.image_shape
    state = _state(context.teacher, module)
    return Network(module=module, image_shape=shape, weights={}, inputs={}, state=state)


def _weight_grid(quantizer: WeightCodes) -> WeightGrid:
    codes = _array(quantizer.codes.to(torch.uint8))
    bits = int(quantizer.code_bits)
    if isinstance(quantizer, WeightQuantizer):
        return WeightGrid(
            bits=bits, codes=codes, scale=_array(quantizer.scale.flatten().float()),
            zero_point=_array(quantizer.zero_point.flatten().to(torch.uint8)),
        )  # fmt: skip
    levels = quantizer.levels().float()
    if bool((levels == levels[:1]).all()):  # a codebook for all channels
        levels = levels[:1]
    return WeightGrid(bits=bits, codes=codes, levels=_array(levels))


def _input_grid(path: str, quantizer: ActivationQuantizer) -> InputGrid:
    if not quantizer.fitted:
        raise UserError(
            f"the input of {path!r} was never fitted, so that layer did not run for the calibration images; "
            "give images that take that way, and run it again"
        )
    if isinstance(quantizer, BorderQuantizer):
        return InputGrid(bits=quantizer.bits, kind="border")
    if isinstance(quantizer, BasisActivationQuantizer):
        return InputGrid(bits=quantizer.bits, kind="basis")
    if isinstance(quantizer, GaussianInput):
        return InputGrid(bits=quantizer.bits, kind="dynamic")
    if isinstance(quantizer, SignActivation) and quantizer.of_signs:
        return InputGrid(bits=quantizer.bits, kind="signs")
    return InputGrid(
        bits=quantizer.bits, scale=float(quantizer.scale), low=quantizer.low, high=quantizer.high
    )


def _fixed(quantizer: ActivationQuantizer) -> nn.Module:
    """The same rounding with constants. Borders and moments stay as they are: plain arithmetic on values."""
    if isinstance(quantizer, (BorderQuantizer, GaussianInput)):
        return quantizer
    of_signs = isinstance(quantizer, SignActivation) and quantizer.of_signs
    if of_signs or isinstance(quantizer, BasisActivationQuantizer):
        return ListedLevels(quantizer.levels()[0].detach().clone())
    return EvenLevels(float(quantizer.scale), quantizer.low, quantizer.high)


def _state(teacher: nn.Module, module: nn.Module) -> dict[str, NDArray[Any]]:
    """The float network's tensors as the student has them, and biases that it has beyond those."""
    mine = module.state_dict()
    names = [*teacher.state_dict()]
    names += [n for n in mine if n.endswith(".bias") and n not in names and _is_layers(module, n)]
    return {name: _array(mine[name]) for name in names}


def _is_layers(module: nn.Module, name: str) -> bool:
    return isinstance(module.get_submodule(name.rpartition(".")[0]), QuantLayer)


def _ends(context: Context, module: nn.Module) -> tuple[str, ...]:
    """For each block the module whose output is compared: the block's own, else its last layer."""
    runs: dict[str, int] = {}

    def count(path: str, _x: Tensor) -> None:
        runs[path] = runs.get(path, 0) + 1

    wanted = [_end(block) for block in context.blocks]
    with watch_inputs(module, dict.fromkeys(wanted), count):
        module(noise_images(1, context.card.image_shape, module))
    return tuple(path for path in dict.fromkeys(wanted) if runs.get(path) == 1)


def _end(block: Block) -> str:
    inside = block.by_nodes or not block.paths
    return block.layers[-1] if inside else block.paths[-1]


def _array(tensor: Tensor) -> NDArray[Any]:
    found: NDArray[Any] = tensor.detach().cpu().contiguous().numpy().copy()
    return found
