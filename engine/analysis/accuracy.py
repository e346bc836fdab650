"""How often a network is right, how sure that is, and how alike two networks answer."""

import math
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

Z_95 = 1.959964  # the standard normal's 97.5 % point: 95 % lie within ± so many standard deviations


class Band(NamedTuple):
    """A 95 % confidence band of a share in [0, 1]."""

    low: float
    high: float


def wilson(hits: int, n: int) -> Band:
    """The 95 % band of a share of `hits` in `n` (Wilson 1927); of nothing at all, [0, 1].

    Unlike the usual ± 1.96 standard errors it stays inside [0, 1] and is right near 0 and 1.
    """
    if not 0 <= hits <= n:
        raise ValueError(f"{hits} hits in {n} are no share")
    if n == 0:
        return Band(0.0, 1.0)
    share, square = hits / n, Z_95**2
    centre = share + square / (2 * n)
    half = Z_95 * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    scale = 1 + square / n
    # At no hits (all hits) the end is 0 (1) exactly; rounding would leave 1e-17.
    low = 0.0 if hits == 0 else (centre - half) / scale
    high = 1.0 if hits == n else (centre + half) / scale
    return Band(low, high)


def top1(logits: Tensor, labels: Tensor) -> float:
    """The share of images whose largest logit is the label's."""
    return float((logits.argmax(1) == labels).double().mean())


def agreement(a: Tensor, b: Tensor) -> float:
    """The share of images on which two networks' largest logits are of the same class."""
    return float((a.argmax(1) == b.argmax(1)).double().mean())


def logit_kl(teacher_logits: Tensor, student_logits: Tensor) -> float:
    """The mean divergence KL(teacher || student) of the softmaxes, in nats; 0 where they agree."""
    teacher = F.log_softmax(teacher_logits.double(), 1)
    student = F.log_softmax(student_logits.double(), 1)
    divergence = F.kl_div(student, teacher, reduction="batchmean", log_target=True)
    return max(0.0, float(divergence))  # rounding may leave -1e-17
