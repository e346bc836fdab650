"""Whether a network leaves its layers' weights as it finds them: a student's are codes, and must stay so."""

import torch
from torch import Tensor, nn

from engine.core.errors import UserError
from engine.models.graph.flow import is_layer


@torch.no_grad()
def check_weights_stay(model: nn.Module, images: Tensor, name: str) -> None:
    """UserError that names a layer whose weight a pass writes anew (normalised, clipped, made binary).

    What is written may be what stands there already, so every weight is twice as large meanwhile: that is
    exact in floating point, there and back.
    """
    layers = {path: module for path, module in model.named_modules() if is_layer(module)}
    weights = {id(w): w for w in (module._parameters.get("weight") for module in layers.values())}
    doubled = [w for w in weights.values() if w is not None]
    if not doubled:
        return
    torch._foreach_mul_(doubled, 2.0)
    before = {path: _sums(module) for path, module in layers.items()}
    try:
        model(images.clone())
    except Exception:  # noqa: BLE001  (it may look at what it computes; that it runs is known)
        pass
    finally:
        after = {path: _sums(module) for path, module in layers.items()}
        torch._foreach_mul_(doubled, 0.5)
    for path in layers:
        if before[path] != after[path]:
            raise UserError(
                f"{name} writes the weight of layer {path!r} anew while it runs, over what stands there; "
                "compute it in forward (F.conv2d, F.linear) instead, or write it once in __init__"
            )


def _sums(layer: nn.Module) -> str:
    """As text, in which what is no number is itself."""
    weight = layer._parameters.get("weight")
    return "" if weight is None else f"{float(weight.sum())!r} {float(weight.abs().sum())!r}"
