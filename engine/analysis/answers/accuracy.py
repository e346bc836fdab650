"""How often a network is right, how sure that is, and how alike two networks answer."""

import math

import torch.nn.functional as F
from torch import Tensor

from engine.core.errors import UserError
from engine.core.paired import Z_95, Band, PairedDrop, drop_of


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


def paired_drop(first: Tensor, second: Tensor, labels: Tensor) -> PairedDrop:
    """The drop of top-1 from the first network's logits to the second's, see `engine.core.paired`."""
    return paired_drop_of(first.argmax(1) == labels, second.argmax(1) == labels)


def paired_drop_of(first: Tensor, second: Tensor) -> PairedDrop:
    """The same from what each has right, [n] of bool."""
    lost, won = int((first & ~second).sum()), int((~first & second).sum())
    return drop_of(lost, won, len(first))


def check_finite(*outputs: Tensor) -> None:
    """UserError where a number is infinite or none: what is not finite has no largest, and is not judged."""
    for y in outputs:
        if not bool(y.isfinite().all()):
            broken = int((~y.isfinite()).flatten(1).any(1).sum())
            raise UserError(
                f"the outputs for {broken} of {len(y)} images are not finite, so nothing can be said of "
                "them; look at the weights, and at model.mean and model.std"
            )


def top1(logits: Tensor, labels: Tensor) -> float:
    """The share of images whose largest logit is the label's."""
    check_finite(logits)
    return float((logits.argmax(1) == labels).double().mean())


def agreement(a: Tensor, b: Tensor) -> float:
    """The share of images on which two networks' largest logits are of the same class."""
    check_finite(a, b)
    return float((a.argmax(1) == b.argmax(1)).double().mean())


def embedding_cosines(a: Tensor, b: Tensor) -> Tensor:
    """The cosine of two networks' outputs [n, ...] to the same images, in [-1, 1]: [n], double."""
    return F.cosine_similarity(a.double().flatten(1), b.double().flatten(1), dim=1).clamp(-1, 1)


def logit_kl(teacher_logits: Tensor, student_logits: Tensor) -> float:
    """The mean divergence KL(teacher || student) of the softmaxes, in nats; 0 where they agree."""
    divergence = float(_terms(teacher_logits, student_logits).sum() / len(teacher_logits))
    return max(
        0.0, divergence
    )  # rounding may leave -1e-17; `_terms` has seen to it that it is a number


def image_kls(teacher_logits: Tensor, student_logits: Tensor) -> Tensor:
    """The same of each image by itself: [n], double."""
    return _terms(teacher_logits, student_logits).sum(1)


def _terms(teacher_logits: Tensor, student_logits: Tensor) -> Tensor:
    """The terms p log (p / q) of each image and class; UserError where a logit is not finite."""
    check_finite(teacher_logits, student_logits)
    teacher = F.log_softmax(teacher_logits.double(), 1)
    student = F.log_softmax(student_logits.double(), 1)
    return F.kl_div(student, teacher, reduction="none", log_target=True)
