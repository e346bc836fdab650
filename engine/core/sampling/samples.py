"""Samples of large tensors: values from all over, never every n-th."""

import torch
from torch import Tensor

from engine.core.sampling.randomness import stream


def sampled(values: Tensor, most: int) -> Tensor:
    """Flat: `most` of the values, in their order; all of them where there are fewer than twice as many.

    The tensor is cut into `most` stretches of one length, and a value is drawn from each. A fixed stride
    instead would beat with the layout: where it shares a factor with the width of the images, it meets
    some columns only, often the border alone. The draw depends on the two sizes alone, so that tensors of
    one shape give values of the same places.
    """
    flat = values.flatten()
    if flat.numel() < 2 * most:
        return flat
    return flat[sample_indices(flat.numel(), most).to(flat.device)]


def sample_indices(count: int, most: int) -> Tensor:
    """[most] different places of 0 .. count − 1, rising: one from each of `most` stretches."""
    ends = torch.arange(most + 1) * count // most
    start, length = ends[:-1], ends.diff()
    where = torch.rand(most, dtype=torch.double, generator=stream(0, "sample", count, most))
    return start + (where * length).long()
