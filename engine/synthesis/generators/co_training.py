"""Co-training: a student at few bits learns from each batch that a generator learns on.

Xu et al., "Generative Low-bitwidth Data Free Quantization", ECCV 2020, arXiv:2003.03603, section 3.3 and
algorithm 1: a step of the generator, then a step of the student on the same images. How a student
quantizes is not this room's business: whoever asks for images brings it.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.core.divergence import distillation_weight, kl
from engine.core.method import Losses
from engine.core.optimisers import SGD
from engine.synthesis.schedules import Optimiser, multistep
from engine.synthesis.student import FIT_EVERY, Student


class CoTraining:
    """The student's half of a step, its optimiser and what it has seen last.

    Minimises w CE(Q(x), y) + α T² KL(softmax(F(x)/T) ‖ softmax(Q(x)/T)) over the student alone, by SGD
    (Nesterov momentum 0.9, weight decay 1e-4). `student_kl_over` says how the paper reduces its KL, and
    so what its α means. Where images have no labels the cross entropy is left out.
    """

    def __init__(self, student: Student, settings: Any, *, classes: int) -> None:
        self.student, self._settings = student, settings
        self.warm_up = round(settings.student_warm_up * settings.steps)
        self._weight = distillation_weight(
            settings.student_distillation, averaged_over=settings.student_kl_over, classes=classes,
            temperature=settings.student_temperature,
        )  # fmt: skip
        learnt = [p for p in student.parameters() if p.requires_grad]
        sgd = SGD(learnt, settings.student_lr, momentum=0.9, weight_decay=1e-4, nesterov=True)
        parts = settings.lr_drops + 1
        drops = [k * settings.steps // parts for k in range(1, parts)]
        self._optimiser = Optimiser(sgd, multistep(sgd, at=drops))
        self._fitted = False
        self.agreement: float | None = None  # of the last step, in [0, 1]

    def step(self, images: Tensor, teacher: Tensor, labels: Tensor | None, step: int) -> Losses:
        """One update by detached images and the teacher's scores of them; nothing while warming up.

        `step` counts the generator's steps before this one.
        """
        due = not self._fitted or (step - self.warm_up) % FIT_EVERY == 0
        if step >= self.warm_up and due:  # a fork may begin in the middle of a hundred
            self.student.fit(images)
            self._fitted = True
        losses: Losses = {}
        total = torch.zeros(())
        if step >= self.warm_up:
            scores = self.student(images)
            total = self.loss(scores, teacher, labels)
            self._optimiser.optimizer.zero_grad()
            total.backward()
            self.agreement = float((scores.argmax(1) == teacher.argmax(1)).float().mean())
            losses = {"student": total.detach()}
        self._optimiser.step(total.detach(), step + 1)
        return losses

    def loss(self, scores: Tensor, teacher: Tensor, labels: Tensor | None) -> Tensor:
        """What the student minimises."""
        chosen = self._settings
        parts = [self._weight * kl(teacher, scores, chosen.student_temperature)]
        if labels is not None and chosen.student_cross_entropy:
            parts.append(chosen.student_cross_entropy * F.cross_entropy(scores, labels))
        return torch.stack(parts).sum()

    def state_dict(self) -> dict[str, Any]:
        return {
            "student": self.student.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "fitted": self._fitted,
            "agreement": self.agreement,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.student.load_state_dict(state["student"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._fitted, self.agreement = state["fitted"], state["agreement"]
