"""The layer that a teacher names its classes with: its rows, and the features that it reads."""

import torch
from torch import Tensor, nn

from engine.core.sampling.noise_images import noise_images
from engine.core.trace import watch_outputs


@torch.no_grad()
def classifier_rows(teacher: nn.Module, image_shape: tuple[int, int, int]) -> Tensor | None:
    """A copy of the weights [classes, features] that make the class scores, None without such a layer.

    The linear layer or 1x1 convolution that runs last and has an output for each score.
    """
    rows = {path: rows_of(module) for path, module in teacher.named_modules()}
    candidates = [path for path, weight in rows.items() if weight is not None]
    ran: list[str] = []
    with watch_outputs(teacher, candidates, lambda path, y: ran.append(path)):
        scores = teacher(noise_images(1, image_shape, teacher))
    if not isinstance(scores, Tensor) or scores.dim() != 2:
        return None
    for path in reversed(ran):
        weight = rows[path]
        if weight is not None and len(weight) == scores.shape[1]:
            return weight.clone()
    return None


def read_by(classifier: nn.Module, x: Tensor) -> Tensor:
    """Its input as one row of features an image: averaged where it reads many places of each."""
    if isinstance(classifier, nn.Conv2d):
        return x.mean((2, 3))
    return x if x.dim() == 2 else x.flatten(1, -2).mean(1)


def rows_of(module: nn.Module) -> Tensor | None:
    """The weights [outputs, features] of a linear layer or a 1x1 convolution, None of anything else."""
    if isinstance(module, nn.Linear):
        return module.weight.detach()
    if isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1) and module.groups == 1:
        return module.weight.detach().flatten(1)
    return None
