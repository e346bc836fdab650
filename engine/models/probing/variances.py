"""BatchNorm channels that stored next to no variance, given that of the others."""

import torch
from torch import nn

from engine.models.card_settings import TINY_VARIANCE

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@torch.no_grad()
def mend_variances(model: nn.Module) -> list[str]:
    """Gives each such channel the median variance of its layer, in place; says of each layer how many.

    A channel that is as still as it says gives its bias before and behind: nothing changes for it. The median
    is our own choice: what the variance was cannot be told without the data.
    """
    said = []
    for path, module in model.named_modules():
        if not isinstance(module, _NORMS) or module.running_var is None:
            continue
        median = module.running_var.median()
        tiny = module.running_var < TINY_VARIANCE * median
        if bool(tiny.any()):
            module.running_var[tiny] = median
            said.append(f"{int(tiny.sum())} in {path}")
    return said
