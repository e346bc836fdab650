"""A network as its author built it, made into what the engine works on: plain float32 modules on the CPU.

What can be converted without changing what the network computes is converted, and told in words; what
cannot is a UserError that names the module and the way out.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.utils import parametrize, prune, remove_spectral_norm, remove_weight_norm
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from engine.core.errors import UserError
from engine.core.outside.own_code import in_words
from engine.core.sampling.noise_images import noise_images
from engine.core.sampling.randomness import seeded_init, stream
from engine.core.trace import watch_inputs

Shape = tuple[int, int, int]
_FLOATS = (torch.float16, torch.bfloat16, torch.float64)
_NORMS = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}


def plain_tensors(model: nn.Module, image_shape: Shape, name: str) -> tuple[str, ...]:
    """Before weights are filled in: at rest, every tensor there, on the CPU, in float32; what was done."""
    _refuse_strangers(model, name)
    try:
        model.eval()
    except Exception as error:  # whatever a train() of the user's raises
        raise UserError(
            f"{name} cannot be put into eval mode: {in_words(error)}; mend its train()"
        ) from error
    notes = []
    if any(
        isinstance(m, LazyModuleMixin) and m.has_uninitialized_params() for m in model.modules()
    ):
        _materialise(model, image_shape, name)
        notes.append("lazy layers were given their sizes by one pass of images")
    tensors = [*model.parameters(), *model.buffers()]
    places = {t.device.type for t in tensors} - {"cpu"}
    if places:
        model.cpu()
        notes.append(f"moved here from {', '.join(sorted(places))}")
    kinds = {str(t.dtype).removeprefix("torch.") for t in tensors if t.dtype in _FLOATS}
    if kinds:
        model.float()
        notes.append(f"built as {' and '.join(sorted(kinds))}, computed in float32")
    return tuple(notes)


def _refuse_strangers(model: nn.Module, name: str) -> None:
    for path, module in model.named_modules():
        where = f"{name}{f', module {path!r},' if path else ''}"
        if isinstance(module, torch.jit.ScriptModule):
            raise UserError(
                f"{where} is TorchScript, whose layers cannot be replaced; give the nn.Module that it "
                "was made from"
            )
        if isinstance(module, torch.fx.GraphModule) and not path and _is_exported(module):
            raise UserError(f"{where} was exported; give the nn.Module that it was exported from")
        if ".quantized" in type(module).__module__ and "torch" in type(module).__module__:
            raise UserError(
                f"{where} is a quantized {type(module).__name__}; give the float network"
            )
        if any(kind.__name__ == "FakeQuantizeBase" for kind in type(module).__mro__):
            raise UserError(
                f"{where} is a {type(module).__name__}: the network was made ready for quantization by "
                "torch.ao; give the float network that it was made from"
            )
    for path, tensor in (*model.named_parameters(), *model.named_buffers()):
        if tensor.is_meta and not nn.parameter.is_lazy(tensor):
            raise UserError(
                f"{name} has no values in {path!r}: it lies on the meta device; build it on the CPU"
            )
        if tensor.layout != torch.strided or tensor.is_nested:
            raise UserError(
                f"{name} holds {path!r} as a sparse tensor; give it its values in full (.to_dense())"
            )
        if tensor.is_quantized:
            raise UserError(f"{name} holds {path!r} quantized already; give the float network")


def _is_exported(module: nn.Module) -> bool:
    return any("aten" in str(node.target) for node in module.graph.nodes)  # type: ignore[union-attr]


@torch.no_grad()
def _materialise(model: nn.Module, image_shape: Shape, name: str) -> None:
    was_training = model.training
    model.eval()
    try:
        with seeded_init(stream(0, "lazy layers")):
            model(noise_images(2, image_shape, model))
    except Exception as error:
        text = " ".join(str(error).split())[:200]
        raise UserError(
            f"{name} has lazy layers and does not run on images of {shape_words(image_shape)}: "
            f"{type(error).__name__}: {text}; give model.image_shape=channels,height,width"
        ) from error
    finally:
        model.train(was_training)


def shape_words(image_shape: Shape) -> str:
    """For example "3 x 32 x 32"."""
    return " x ".join(map(str, image_shape))


# --- after the weights are in ----------------------------------------------------------------------


@torch.no_grad()
def plain_modules(model: nn.Module, image_shape: Shape) -> tuple[str, ...]:
    """Once weights are in: weights that are computed become what they are; what was done, in words."""
    found: dict[str, list[str]] = {}
    for path, module in list(model.named_modules()):
        for what in (*_bake(module), *_bake_hooks(module)):
            found.setdefault(what, []).append(path or type(model).__name__)
    notes = [f"{what} of {_few(paths)} baked into the weights" for what, paths in found.items()]
    notes += _free_of_graphs(model)
    synced = [p for p, m in model.named_modules() if isinstance(m, nn.SyncBatchNorm)]
    if synced:
        sizes = _input_sizes(model, synced, image_shape)
        for path in synced:
            _replace(model, path, _as_batchnorm(model.get_submodule(path), sizes.get(path, 4)))
        notes.append(f"SyncBatchNorm of {_few(synced)} is BatchNorm on one machine")
    return tuple(notes)


def _bake(module: nn.Module) -> Iterator[str]:
    """torch.nn.utils.parametrize: what is computed from parameters becomes a parameter."""
    if not parametrize.is_parametrized(module):
        return
    kinds = module.parametrizations
    assert isinstance(kinds, nn.ModuleDict)
    for tensor, chain in list(kinds.items()):
        assert isinstance(chain, nn.ModuleList)
        words = ", ".join(type(one).__name__.strip("_") for one in chain)
        parametrize.remove_parametrizations(module, tensor, leave_parametrized=True)
        left = module._buffers.pop(tensor, None)
        if left is not None:  # of several originals, and frozen ones
            module.register_parameter(tensor, nn.Parameter(left.detach().clone()))
        yield words


def _bake_hooks(module: nn.Module) -> Iterator[str]:
    """What computes a weight by a hook before every pass: pruning, the older weight and spectral norm."""
    for hook in list(module._forward_pre_hooks.values()):
        if isinstance(hook, prune.BasePruningMethod):
            prune.remove(module, hook._tensor_name)
            yield "pruning"
        elif isinstance(hook, WeightNorm):
            remove_weight_norm(module, hook.name)
            yield "weight norm"
        elif isinstance(hook, SpectralNorm):
            remove_spectral_norm(module, hook.name)
            yield "spectral norm"


def _free_of_graphs(model: nn.Module) -> Iterator[str]:
    """A plain tensor that remembers how it was computed cannot be copied: its values are kept."""
    freed = []
    for path, module in model.named_modules():
        for key, value in list(vars(module).items()):
            if isinstance(value, Tensor) and value.grad_fn is not None:
                module.__dict__[key] = value.detach()
                freed.append(f"{path}.{key}".strip("."))
        for key, buffer in list(module._buffers.items()):
            if buffer is not None and buffer.grad_fn is not None:
                module._buffers[key] = buffer.detach()
                freed.append(f"{path}.{key}".strip("."))
    if freed:
        yield f"{_few(freed)} kept without the way in which it was computed"


def _input_sizes(model: nn.Module, paths: list[str], image_shape: Shape) -> dict[str, int]:
    """How many dimensions each of these modules reads; nothing where the network does not run."""
    seen: dict[str, int] = {}
    training = {path: m.training for path, m in model.named_modules()}
    model.eval()
    try:
        with watch_inputs(model, paths, lambda path, x: seen.update({path: x.dim()})):
            model(noise_images(2, image_shape, model))
    except Exception:  # noqa: BLE001  (why it does not run is the probe's to say)
        return seen
    finally:
        for path, was in training.items():
            model.get_submodule(path).training = was
    return seen


def _as_batchnorm(module: nn.Module, dimensions: int) -> nn.Module:
    assert isinstance(module, _BatchNorm)
    kind = _NORMS.get(dimensions, nn.BatchNorm2d)
    plain = kind(
        module.num_features, module.eps, module.momentum, module.affine, module.track_running_stats
    )
    plain._parameters, plain._buffers = module._parameters, module._buffers
    return plain.train(module.training)


def _replace(model: nn.Module, path: str, by: nn.Module) -> None:
    """Put a module in place of another, wherever the network holds that one."""
    old = model.get_submodule(path)
    for parent in model.modules():
        for key, child in parent._modules.items():
            if child is old:
                parent._modules[key] = by


def _few(names: list[str]) -> str:
    names = list(dict.fromkeys(names))
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
