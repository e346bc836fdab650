"""What a network gave for two images: a dense tensor of numbers, finite, and not the same for both."""

from typing import Any

import torch
from torch import Tensor, nn

from engine.core.errors import UserError
from engine.core.trace import watch_outputs
from engine.models.probing.output.returned import first_tensor

_STRONG = 4.0  # times the noise


def plain_answer(outputs: Any, name: str) -> Tensor:
    """The first tensor of floats in what it returned; UserError where none can be compared."""
    answer = first_tensor(outputs)
    if answer is None:
        what = f"a tensor of {outputs.dtype}" if isinstance(outputs, Tensor) else ""
        raise UserError(
            f"{name} returns {what or type(outputs).__name__}, in which there is no tensor of floats; let it "
            "give the scores of the classes, [images, classes]"
        )
    if answer.is_nested or answer.layout != torch.strided:
        kind = "nested" if answer.is_nested else "sparse"
        way = "pad it to one size" if answer.is_nested else "write .to_dense() behind it"
        raise UserError(f"{name} returns a {kind} tensor; {way}")
    if answer.numel() == 0:
        raise UserError(
            f"{name} returns {list(answer.shape)} for two images, which holds no "
            "number; let it give at least one for each image"
        )
    return answer


def check_finite_answer(model: nn.Module, images: Tensor, answer: Tensor, name: str) -> None:
    """UserError that names the first module behind which values are not finite."""
    if bool(answer.isfinite().all()):
        return
    first: list[str] = []

    def listen(path: str, y: Any) -> None:
        tensor = first_tensor(y)
        if tensor is not None and not first and not bool(tensor.isfinite().all()):
            first.append(path)

    leaves = [p for p, m in model.named_modules() if p and next(m.children(), None) is None]
    with torch.no_grad(), watch_outputs(model, leaves, listen):
        model(images.clone())
    where = f", first behind {first[0]!r}" if first else ""
    raise UserError(
        f"{name} returns values that are no numbers (NaN or infinite){where}, though its weights are; "
        "change what it computes there"
    )


@torch.no_grad()
def of_other_images(model: nn.Module, images: Tensor, answer: Tensor) -> list[str]:
    """A sentence where every image that is tried gets the very same output: then nothing can be lost."""
    if answer.dim() < 1 or len(answer) < 2 or not torch.equal(answer[0], answer[1]):
        return []
    strong = first_tensor(model(-_STRONG * images))
    if strong is None or not torch.equal(strong, answer):
        return []
    return [
        "It gives the same output for every image that was tried, weak noise and strong: check its weights, "
        "for then what is compared of its outputs says nothing."
    ]
