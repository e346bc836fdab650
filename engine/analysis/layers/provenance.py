"""Where a layer's error comes from: its weights, its input's grid, or what reached it wrong already.

For a layer that is linear in what it reads (a convolution, grouped or not, or a fully connected layer), let

    x_t   what the teacher's layer reads,
    x_s   what the student's layer would read if its input had no grid (behind all other errors),
    Q     the grid of the student's input, W and Ŵ the weights of teacher and student, b and b̂ their biases,

and e = (Ŵ Q(x_s) + b̂) − (W x_t + b), the error of its output. Then e is the sum of four parts:

    weights      (Ŵ − W) x_t                         what its weights do to a right input,
    activations  W (Q(x_s) − x_s)                    what its input's grid does, on the pass where it happens,
    inherited    W (x_s − x_t)                       what was wrong before it, through right weights,
    interaction  (Ŵ − W) (Q(x_s) − x_t) + (b̂ − b)    the rest: wrong weights on a wrong input, corrections.

The grid's part is taken at x_s: rounding x_t instead would give another error, next to independent of the one
that is in e as soon as what is inherited is larger than a step.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from engine.analysis.layers.errors import decibels

PARTS = ("weights", "activations", "inherited", "interaction")

Linear = Callable[[Tensor], Tensor]  # a layer with its bias: x ↦ W x + b


@torch.no_grad()
def error_parts(
    teacher: Linear, student: Linear, x_teacher: Tensor, x_student: Tensor, x_read: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """(e, its four parts by name), each of the shape of the layer's output; the parts sum to e.

    teacher, student: the layer with its own weight and bias, without a grid for its input. x_teacher,
    x_student and x_read are x_t, x_s and Q(x_s) above.
    """
    right = teacher(x_teacher)
    on_student = teacher(x_student)
    error = student(x_read) - right
    nothing = torch.zeros_like(x_teacher[:1])
    shift = student(nothing) - teacher(nothing)  # b̂ − b, wherever it is added
    parts = {
        "weights": student(x_teacher) - right - shift,
        "activations": teacher(x_read) - on_student,
        "inherited": on_student - right,
    }
    parts["interaction"] = error - sum(parts.values())
    return error, parts


@dataclass(slots=True)
class Shares:
    """The parts of a layer's error summed up, image by image and call by call.

    A share is ⟨part, e⟩ / ⟨e, e⟩: the four sum to 1, and a part that makes up for others is negative.
    """

    error: float = 0.0  # ⟨e, e⟩
    signal: float = 0.0  # of the teacher's output
    products: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))

    def add(self, wanted: Tensor, error: Tensor, parts: Mapping[str, Tensor]) -> None:
        """Take in one call: the teacher's output, the student's error, and the parts of that."""
        flat = error.double().flatten()
        self.error += float(torch.dot(flat, flat))
        self.signal += float(wanted.double().square().sum())
        for name in PARTS:
            self.products[name] += float(torch.dot(parts[name].double().flatten(), flat))

    def values(self) -> dict[str, float] | None:
        """The shares by name; None where there is no error, or one that is not finite."""
        total = sum(self.products.values())  # ⟨e, e⟩ but for rounding, which then takes no share
        if not 0 < total < float("inf"):
            return None
        return {name: product / total for name, product in self.products.items()}

    def sqnr_db(self) -> float:
        """Signal to error of the layer's output, in dB within ±100."""
        return decibels(self.signal, self.error)
