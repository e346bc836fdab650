"""Distillation: the whole student learns to answer as the teacher does, on the calibration images.

Hinton, Vinyals, Dean: "Distilling the Knowledge in a Neural Network", 2015, arXiv:1503.02531. BatchNorm
stays in eval mode: the images are no data, and their statistics are not those that inference meets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import CosineAnnealingLR

from engine.core.method import Losses, View
from engine.core.optimisers import Adam
from engine.core.sampling.batches import MiniBatches
from engine.core.trace import watch_outputs
from engine.quantization.distillation.learner import Learner, share

CHUNK = 32  # images that the teacher answers at once


@dataclass(frozen=True, slots=True, kw_only=True)
class DistillationSettings:
    """What a distillation is told."""

    steps: int
    batch: int
    temperature: (
        float  # of both answers; the loss is multiplied by its square (Hinton et al., section 2)
    )
    feature_weight: float  # of the blocks' outputs, each error as a share of the teacher's energy


class Distillation:
    """A step machine: each step draws a mini-batch and takes one optimiser step on the whole student."""

    def __init__(
        self,
        teacher: nn.Module,
        learner: Learner,
        images: Tensor,
        *,
        outputs: Sequence[str],  # paths whose outputs are compared where features count
        settings: DistillationSettings,
        classifier: bool,
        rng: torch.Generator,
    ) -> None:
        self._teacher, self._learner, self._images = teacher, learner, images
        self._outputs = list(dict.fromkeys(outputs)) if settings.feature_weight else []
        self._settings, self._classifier, self._rng = settings, classifier, rng
        self.total_steps = settings.steps
        self._steps_done = 0
        with torch.no_grad():
            self._wanted = torch.cat([teacher(part) for part in images.split(CHUNK)])
        self._batches = MiniBatches(len(images), settings.batch, rng)
        self._groups = learner.groups()
        self._optimiser = Adam(self._groups)
        self._schedule = CosineAnnealingLR(self._optimiser, T_max=max(settings.steps, 1))

    @property
    def _progress(self) -> float:
        return self._steps_done / max(self.total_steps, 1)

    def step(self) -> Losses:
        progress, index = self._progress, self._batches.draw()
        self._learner.begin(progress, self._rng)
        self._optimiser.zero_grad()
        x, wanted = self._images[index], self._wanted[index]
        losses = self._losses(x, wanted, self._features(self._teacher, x))
        losses |= self._learner.penalties(x, wanted, progress)
        torch.stack(list(losses.values())).sum().backward()
        self._optimiser.step()
        self._schedule.step()
        with torch.no_grad():
            self._learner.after(progress)
        self._steps_done += 1
        return {name: loss.detach() for name, loss in losses.items()}

    def _losses(self, x: Tensor, wanted: Tensor, features: Mapping[str, Tensor]) -> Losses:
        seen: dict[str, Tensor] = {}
        with watch_outputs(self._learner.student, self._outputs, seen.__setitem__):
            got = self._learner.student(x)
        losses = {"answers": self._answers(got, wanted)}
        if self._outputs:
            error = self._learner.feature_error
            errors = [error(seen[path], features[path]) for path in self._outputs]
            losses["features"] = self._settings.feature_weight * torch.stack(errors).mean()
        return losses

    def _answers(self, got: Tensor, wanted: Tensor) -> Tensor:
        if not self._classifier:
            return share(got, wanted)
        return divergence(got, wanted, self._settings.temperature)

    @torch.no_grad()
    def _features(self, model: nn.Module, x: Tensor) -> dict[str, Tensor]:
        seen: dict[str, Tensor] = {}
        if self._outputs:
            with watch_outputs(model, self._outputs, lambda p, y: seen.update({p: y.clone()})):
                model(x)
        return seen

    def views(self) -> Sequence[View]:
        return self._learner.views()

    def learned(self) -> dict[str, Tensor]:
        return self._learner.learned()

    def _parameters(self) -> list[nn.Parameter]:
        return [parameter for group in self._groups for parameter in group["params"]]

    def state_dict(self) -> dict[str, Any]:
        return {
            "parameters": [parameter.detach() for parameter in self._parameters()],
            "learner": self._learner.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "schedule": self._schedule.state_dict(),
            "rng": self._rng.get_state(),
            "order": self._batches.order,
            "steps_done": self._steps_done,
        }

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        for parameter, saved in zip(self._parameters(), state["parameters"], strict=True):
            parameter.copy_(saved)
        self._learner.load_state_dict(state["learner"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._schedule.load_state_dict(state["schedule"])
        self._rng.set_state(state["rng"])
        self._batches.order = state["order"]
        self._steps_done = state["steps_done"]


def divergence(got: Tensor, wanted: Tensor, temperature: float) -> Tensor:
    """T² · KL(teacher ‖ student) of softened scores, in nats."""
    log_got = functional.log_softmax(got / temperature, 1)
    log_wanted = functional.log_softmax(wanted / temperature, 1)
    kl = functional.kl_div(log_got, log_wanted, reduction="batchmean", log_target=True)
    return temperature**2 * kl
