"""Whether a gradient reaches the images: then they can be made to follow what a network remembers."""

import torch
from torch import Tensor, nn

from engine.core.errors import UserError
from engine.core.trace import watch_inputs
from engine.models.graph.flow import is_layer
from engine.models.probing.output.returned import first_tensor
from engine.models.probing.passes.switches import unswitched


def why_no_gradient(model: nn.Module, images: Tensor, name: str) -> str:
    """Why images cannot be made to follow its answer or its BatchNorm layers; empty where they can.

    UserError where layers run anew while the gradient is computed: what they read then is no other image.
    """
    norms = [path for path, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)]
    layers = [path for path, m in model.named_modules() if is_layer(m)]
    seen: list[Tensor] = []
    anew: list[str] = []
    leaf = images.clone().requires_grad_()
    try:
        with torch.enable_grad():
            with unswitched(name), watch_inputs(model, norms, lambda _, x: seen.append(x)):
                answer = first_tensor(model(leaf))
            reached = [t for t in (*seen, answer) if t is not None and t.requires_grad]
            if not reached:
                return "no gradient reaches its images (it computes without gradients, or detaches)"
            total = torch.stack([t.float().square().mean() for t in reached]).sum()
            with watch_inputs(model, layers, lambda path, _: anew.append(path)):
                total.backward()
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001  (whatever the user's own functions raise)
        if not anew:
            text = " ".join(str(error).split())[:160].rstrip(".")
            return f"no gradient can be computed: {type(error).__name__}: {text}"
    if anew:
        raise UserError(
            f"{name} runs layer {anew[0]!r} anew while a gradient is computed (torch.utils.checkpoint), and "
            "what it reads then is counted twice; call checkpoint in its forward only `if self.training`"
        )
    if not bool(total.isfinite()):  # sick, which is told of otherwise
        return ""
    if leaf.grad is None or not bool(leaf.grad.isfinite().all()) or not bool(leaf.grad.any()):
        return "the gradient that reaches its images is zero, or not a number"
    return ""
