"""Divergences of two networks' predictions, with the reductions that papers differ in made explicit.

Distillation losses are written alike and reduced differently: GDFQ, Qimera and DSG average the
Kullback-Leibler divergence over images *and classes* (weight 1), IntraQ and FDDA over images alone
(weight 20). Between the two lies a factor of the number of classes, 1000 on ImageNet. Here it is
always the mean over images; `distillation_weight` converts a paper's weight once.
"""

from typing import Literal

import torch
from torch import Tensor


def kl(teacher: Tensor, student: Tensor, temperature: float = 1.0) -> Tensor:
    """KL(softmax(teacher/T) ‖ softmax(student/T)) of logits [images, classes], mean over images, in nats.

    Without the factor T² that keeps gradients alike at all temperatures: it belongs to the weight.
    """
    log_p = (teacher / temperature).log_softmax(1)
    log_q = (student / temperature).log_softmax(1)
    return (log_p.exp() * (log_p - log_q)).sum(1).mean()


def score_rows(scores: Tensor) -> Tensor:
    """Scores [n, classes] as they are; a map of them [n, classes, h, w] with a row for each pixel."""
    return scores if scores.dim() == 2 else scores.movedim(1, -1).flatten(0, -2)


def distillation_weight(
    weight: float, *, averaged_over: Literal["images", "elements"], classes: int, temperature: float
) -> float:
    """What to multiply `kl` by to get weight · T² · KL as a paper means it.

    `averaged_over` is "elements" where its code averages over images and classes (torch's
    reduction="mean"), "images" where it divides by the images alone (reduction="batchmean").
    """
    share = weight / classes if averaged_over == "elements" else weight
    return share * temperature**2


def jensen_shannon(p: Tensor, q: Tensor) -> Tensor:
    """Jensen-Shannon divergence of probabilities [images, classes] > 0, mean over images, in nats."""
    middle = (p + q) / 2
    parts = [(each * (each / middle).log()).sum(1) for each in (p, q)]
    return torch.stack(parts).mean(0).mean()
