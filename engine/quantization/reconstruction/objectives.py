"""What a block's reconstruction minimises: distances of its output from the teacher's, near and far.

Near, at the block's output: the plain square (QDrop, GENIE-M), a power of the error (BRECQ's
activations), the square weighted by the Fisher information (BRECQ). Far, at the network's answer: the
prediction difference of logits (PD-Quant), the distance of embeddings (QuantFace).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.core.divergence import score_rows
from engine.quantization.base import RestLike
from engine.quantization.plan import BlockLike

Distance = Callable[[Tensor, Tensor, Tensor], Tensor]  # of (output, target, index of the images)
Prediction = Callable[[Tensor, Tensor], Tensor]  # of (output, index of the images)
_CHUNK = 32


def squared_distance(out: Tensor, target: Tensor, _index: Tensor | None = None) -> Tensor:
    """Σ over channels of (out − target)², averaged over everything else (BRECQ's plain form)."""
    return F.mse_loss(out, target, reduction="sum") / (out.numel() // out.shape[1])


def power_distance(exponent: float) -> Distance:
    """Squared distance, but with |out − target|^exponent."""

    def distance(out: Tensor, target: Tensor, _index: Tensor) -> Tensor:
        return (out - target).abs().pow(exponent).sum(1).mean()

    return distance


def fisher_distance(gradient: Tensor, floor: float = 0.0) -> Distance:
    """Σ over channels of w·(out − target)², averaged over everything else; w ~ (floor + |g| / mean |g|)².

    Li et al., BRECQ, eq. 10: the diagonal of the Fisher information is g², the squared gradient of the
    task's loss at the block's output, for every image its own. (The released code has w = (1 + |g|)²
    with g a 32nd of an image's gradient; here g counts in units of its mean, so that floor 1 says
    something at every block.) Weights are scaled to the mean 1, so that they change what counts and not
    how much all of it counts beside the rounding regulariser.
    """
    mean = gradient.abs().mean()
    if float(mean) == 0:  # nothing is lost yet, and so nothing to weigh by
        return squared_distance
    weights = (floor + gradient.abs() / mean).square()
    weights = weights / weights.mean()

    def distance(out: Tensor, target: Tensor, index: Tensor) -> Tensor:
        return (weights[index] * (out - target).square()).sum(1).mean()

    return distance


def fisher_gradient(
    student: nn.Module, block: BlockLike, x_student: Tensor, y_teacher: Tensor, rest: RestLike
) -> Tensor:
    """∂ KL(teacher ‖ network quantized up to this block) / ∂ (the block's output), image by image.

    Of a network without classes, the gradient of ‖u − v‖² of its embeddings instead: what BRECQ's
    derivation asks of the task's loss, a minimum at the teacher's answer, it has too.
    """
    gradients: list[Tensor] = []
    for index in torch.arange(len(y_teacher)).split(_CHUNK):
        with torch.no_grad():
            out = block.run(student, x_student[index])
            wanted = rest(y_teacher[index], index)
        with torch.enable_grad():
            out = out.detach().requires_grad_()
            answer = rest(out, index)
            if rest.classifier:
                rows = score_rows(answer).log_softmax(1), score_rows(wanted).softmax(1)
                lost = F.kl_div(*rows, reduction="sum")
            else:
                lost = embedding_distances(answer, wanted).sum()
            gradients += torch.autograd.grad(lost, [out])
    return torch.cat(gradients)


def embedding_distances(out: Tensor, target: Tensor) -> Tensor:
    """‖u − v‖² = 2 (1 − cos) of each image's outputs [n, ...] divided by their lengths: [n], in [0, 4]."""
    u, v = (F.normalize(each.flatten(1), dim=1) for each in (out, target))
    return (u - v).square().sum(1)


class PredictionDifference:
    """KL of the logits at a temperature, behind a block's quantized output and behind the teacher's.

    Liu et al., PD-Quant, CVPR 2023, eq. 5: what the whole network makes of the block's error.
    """

    def __init__(
        self, rest: RestLike, y_teacher: Tensor, *, temperature: float, weight: float
    ) -> None:
        self._rest, self._temperature, self._weight = rest, temperature, weight
        self._wanted = (_answers(rest, y_teacher) / temperature).softmax(1)

    def __call__(self, out: Tensor, index: Tensor) -> Tensor:
        logits = self._rest(out, index) / self._temperature
        wanted = score_rows(self._wanted[index])
        lost = F.kl_div(score_rows(logits).log_softmax(1), wanted, reduction="batchmean")
        return self._weight * lost


class EmbeddingDistance:
    """Squared distance of the network's outputs, each of length 1, behind the two outputs of a block.

    Boutros et al., QuantFace, ICPR 2022: a network whose output is an embedding, not a score a class, is
    matched by its direction, which is all that a comparison by cosine reads. QuantFace trains the whole
    network so; here it is what lies behind one block, in PD-Quant's place. The paper's mean over an
    embedding's entries is a sum here, so that the weight means the same for embeddings of every width.
    """

    def __init__(self, rest: RestLike, y_teacher: Tensor, *, weight: float) -> None:
        self._rest, self._weight = rest, weight
        self._wanted = _answers(rest, y_teacher)

    def __call__(self, out: Tensor, index: Tensor) -> Tensor:
        answer = self._rest(out, index)
        return self._weight * embedding_distances(answer, self._wanted[index]).mean()


@torch.no_grad()
def _answers(rest: RestLike, y_teacher: Tensor) -> Tensor:
    """What the network answers to all images, behind the teacher's own outputs of the block."""
    chunks = torch.arange(len(y_teacher)).split(_CHUNK)
    return torch.cat([rest(y_teacher[index], index) for index in chunks])


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What a reconstruction minimises, beside the rounding regulariser."""

    distance: Distance = squared_distance
    prediction: Prediction | None = None
