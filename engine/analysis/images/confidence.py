"""What a teacher makes of images: numbers that tell varied, recognisable images from noise."""

import torch
from torch import Tensor


def confidence(logits: Tensor) -> float:
    """The mean of each image's largest probability, in (0, 1]."""
    return float(logits.double().softmax(1).amax(1).mean())


def class_spread(logits: Tensor) -> float:
    """The effective number of classes: e to the entropy of the mean softmax, in [1, classes]."""
    mean = logits.double().softmax(1).mean(0)
    return float(torch.special.entr(mean).sum().exp())
