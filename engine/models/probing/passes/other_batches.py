"""One image and three: a network must take any number, and should give each what it gives it alone."""

import torch
from torch import Tensor, nn

from engine.core.errors import UserError
from engine.core.outside.own_code import in_words
from engine.models.probing.output.returned import first_tensor

_SAME = 1e-3  # of the largest output: rounding of another order of sums


@torch.no_grad()
def check_other_batches(
    model: nn.Module, images: Tensor, answer: Tensor, name: str, *, repeats: bool
) -> list[str]:
    """UserError where one or three images do not pass; a sentence where an image's answer minds the others.

    `answer` is what the network gives for the two images; `repeats`: it gives the same each time.
    """
    alone = _answer(model, images[:1], name, "one")
    _answer(model, torch.cat([images, images[:1]]), name, "three")
    rows = alone is not None and answer.dim() > 1 and alone.shape == answer[:1].shape
    if not rows or not repeats or not bool(answer.isfinite().all()):
        return []
    assert alone is not None
    near = _SAME * float(answer.abs().max()) + 1e-6
    if float((alone.double() - answer[:1].double()).abs().max()) <= near:
        return []
    return [
        "What it gives for an image depends on the images that pass with it (it computes over the batch): "
        "figures change with how many pass at a time."
    ]


def _answer(model: nn.Module, images: Tensor, name: str, count: str) -> Tensor | None:
    try:
        return first_tensor(model(images.clone()))
    except Exception as error:
        raise UserError(
            f"{name} runs on two images and not on {count}: {in_words(error)}; let its forward take any "
            "number of images"
        ) from error
