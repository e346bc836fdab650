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
    three = _answer(model, torch.cat([images, images[:1]]), name, "three")
    if repeats:
        _check_rows(answer, three, name)
    if not repeats or not bool(answer.isfinite().all()) or alone is None or three is None:
        return []
    same = answer.dim() < 2 or alone.shape != answer[:1].shape or _near(alone, answer[:1])
    if same and (answer.dim() < 1 or _near(three, answer[[0, 1, 0]])):
        return []
    return [
        "What it gives for an image depends on the images that pass with it (it computes over the batch): "
        "figures change with how many pass at a time."
    ]


def _check_rows(answer: Tensor, three: Tensor | None, name: str) -> None:
    """UserError where what had a row for each of two images has not one for each of three."""
    if answer.dim() < 1 or len(answer) != 2 or three is None or len(three) == 3:
        return
    raise UserError(
        f"{name} gives {len(three)} rows of outputs for three images; let it give one row for each image"
    )


def _near(one: Tensor, other: Tensor) -> bool:
    most = _SAME * float(other.abs().max()) + 1e-6
    return one.shape == other.shape and float((one.double() - other.double()).abs().max()) <= most


def _answer(model: nn.Module, images: Tensor, name: str, count: str) -> Tensor | None:
    try:
        return first_tensor(model(images.clone()))
    except Exception as error:
        raise UserError(
            f"{name} runs on two images and not on {count}: {in_words(error)}; let its forward take any "
            "number of images"
        ) from error
