"""What kind of output a tensor is, told by its shape and values: scores, an image, a map of scores."""

from collections.abc import Callable, Sequence

from torch import Tensor

from engine.core.errors import UserError

KINDS = ("logits", "one-logit", "segmentation", "image", "embedding")
USUAL = ("logits", "out", "output")  # names of an entry that is taken where there are several


def kind_of(y: Tensor, image_shape: Sequence[int], name: str) -> str:
    """What a tensor with a row for each image is; UserError where its shape does not tell."""
    shape, (channels, height, width) = tuple(y.shape[1:]), image_shape
    if _is_row(shape):
        return "one-logit" if y[0].numel() == 1 else "logits"
    if len(shape) == 3:
        whole, grown = shape[1:] == (height, width), shape[1] >= height and shape[2] >= width
        if shape[0] in (1, channels) and (whole or grown):
            return "image"
        if shape[0] > 1 and (whole or name in USUAL):
            return "segmentation"
    if len(shape) == 2 and shape == (height, width):
        return "image"
    raise UserError(
        f"the network gives {words_of(shape)} for an image, which may be several things; say which: "
        f"--set model.output=embedding (or image{', or segmentation' if len(shape) == 3 else ''})"
    )


def check_kind(kind: str, y: Tensor) -> None:
    """UserError where a tensor cannot be what it is said to be."""
    shape = tuple(y.shape[1:])
    numbers = y[0].numel()
    fits = {
        "logits": _is_row(shape) and numbers > 1,
        "one-logit": numbers == 1,
        "segmentation": len(shape) == 3,
        "image": len(shape) in (2, 3),
        "embedding": numbers > 1,
    }
    if not fits[kind]:
        able = ", ".join(name for name, fit in fits.items() if fit) or "none"
        raise UserError(
            f"model.output is {kind!r}, but the network gives {words_of(shape)} for an image; "
            f"that may be: {able}"
        )


def _is_row(shape: Sequence[int]) -> bool:
    """Whether an image has one row of numbers; places of one by one pixel do not count."""
    return not shape or all(side == 1 for side in shape[1:])


def shares_of(kind: str, y: Tensor, loud: Callable[[], Tensor]) -> str:
    """Of what scores are shares of 1 already: "classes", which share it, "labels", each for itself; else "".

    `loud`: the same for images so large that a score leaves [0, 1], and a share does not.
    """
    if kind == "one-logit" or (kind == "segmentation" and y.shape[1] == 1):
        return "classes" if _within_one(y) and _within_one(loud()) else ""
    if kind not in ("logits", "segmentation") or not bool((y >= 0).all()):
        return ""
    if bool(((y.sum(1) - 1).abs() < 1e-3).all()):
        return "classes"
    return "labels" if kind == "logits" and _within_one(y) and _within_one(loud()) else ""


def _within_one(y: Tensor) -> bool:
    return bool(((y >= 0) & (y <= 1)).all())


def words_of(shape: Sequence[int]) -> str:
    if not shape or tuple(shape) == (1,):
        return "one number"
    return " x ".join(map(str, shape)) + (" numbers" if len(shape) == 1 else "")
