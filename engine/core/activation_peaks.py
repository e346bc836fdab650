"""How far activations reach: an upper end for a quantizer's range, from responses to images."""

from typing import Literal

from torch import Tensor

Reduce = Literal["max", "mean-of-max", "percentile"]


def peak(x: Tensor, reduce: Reduce = "mean-of-max", share: float = 0.999) -> Tensor:
    """The peak magnitude of activations [images, ...], 0-dim.

    "max" over everything grows with the number of images; "mean-of-max", the mean over images of each
    one's own maximum, does not. "percentile" takes the value that `share` of each image's activations
    stay below, on average over images.
    """
    rows = x.detach().abs().flatten(1)
    if reduce == "max":
        return rows.max()
    if reduce == "mean-of-max":
        return rows.amax(1).mean()
    rank = max(1, round(share * rows.shape[1]))
    return rows.kthvalue(rank, dim=1).values.mean()
