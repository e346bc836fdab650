"""The one loop of image synthesis: a method composes its parts, and the step is written here once.

    canvas   what is optimised (engine/synthesis/canvas.py)
    labels   which classes it is to show (labels.py)
    shown by transforms (transforms.py) to the model: the teacher, or a patched copy (swing.py)
    losses   on what the teacher saw (losses/), each with its weight; a weight of 0 switches it off
    optimisers, each with its schedule (schedules.py)

A published method is then a file with settings and a `compose`.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from engine.core.errors import UserError
from engine.core.layout import laid_out
from engine.core.method import Losses
from engine.synthesis.augmentations import Transform
from engine.synthesis.base import Request, SynthesisMethod
from engine.synthesis.canvas import Canvas
from engine.synthesis.loss import Loss, Scene
from engine.synthesis.losses.classes import teacher_share
from engine.synthesis.schedules import Optimiser
from engine.synthesis.statistics.batchnorm import Observation

Weighted = tuple[float, Loss]


@dataclass(slots=True, kw_only=True)
class Composition:
    """The parts of one method, for one batch. What is left out is not done."""

    canvas: Canvas
    losses: Mapping[str, Weighted]  # by the names under which they are drawn
    optimisers: Mapping[str, Optimiser]  # of the canvas's parameters
    labels: Tensor | None = None  # for the whole batch; part of its saved state
    redraw: Callable[[], Tensor] | None = None  # new labels for every step, instead
    transforms: Sequence[Transform] = ()
    model: nn.Module | None = None  # what sees the images; None: the teacher
    outputs: Sequence[str] = ()  # layers behind which moments are wanted (Observation.outputs)
    keep_best: bool = False  # the images of the lowest loss, not of the last step
    bfloat16: bool = False  # the teacher's pass in half the width
    finish: Callable[[Tensor], Tensor] | None = None  # done to the images when all steps are


class ComposedMethod(SynthesisMethod):
    """A step machine made of parts: subclasses give a card, settings and `compose`.

    Resumes bit for bit: canvas, optimisers, schedules, losses, labels and random numbers are saved. A
    fork restores them under other settings: what is not `fixed` must come from these, not from the state.
    What a subclass changes by itself it must save by itself, around these two methods.
    """

    only_beside: ClassVar[tuple[str, ...]] = ()  # weights that by themselves minimise nothing

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self.parts = self.compose()
        if self.parts.labels is not None:
            self.parts.labels = self.parts.labels.to(request.device)
        self._losses = {name: part for name, part in self.parts.losses.items() if part[0]}
        if not self._losses and not self.adds_losses():
            raise UserError(_nothing_left(type(self), request.settings))
        self._model = request.teacher if self.parts.model is None else self.parts.model
        self._images = torch.zeros(request.shape)
        self._least = float("inf")
        self.steps_done = 0
        self.total_steps = self.planned_steps(request.settings, request.batch)

    @abstractmethod
    def compose(self) -> Composition:
        """The parts, from `self.request`; everything drawn by chance comes from `self.request.rng`."""

    def adds_losses(self) -> bool:
        """Whether a step minimises more than the composition's losses."""
        return False

    def step(self) -> Losses:
        scene = self.look()
        return self.update(scene, self.weighted(scene))

    def weighted(self, scene: Scene) -> Losses:
        """The losses on what was seen, each times its weight."""
        return {name: weight * loss(scene) for name, (weight, loss) in self._losses.items()}

    def update(self, scene: Scene, losses: Losses) -> Losses:
        """One step of the optimisers down the sum of the losses; the losses, detached."""
        parts = self.parts
        total = torch.stack(list(losses.values())).sum()
        for optimiser in parts.optimisers.values():
            optimiser.optimizer.zero_grad()
        total.backward()
        # What is kept is what the losses were measured on: the images before this step's update.
        self._keep(scene.images, total.detach())
        self.steps_done += 1
        for optimiser in parts.optimisers.values():
            optimiser.step(total.detach(), self.steps_done)
        parts.canvas.project()
        self.latest = scene.seen.detach()
        return {name: loss.detach() for name, loss in losses.items()}

    def look(self) -> Scene:
        """Render, transform, and let the model see: one pass, with all that the losses read."""
        parts, rng = self.parts, self.request.rng
        if parts.redraw is not None:
            parts.labels = parts.redraw().to(self.request.device)
        rendered = parts.canvas.render(parts.labels)
        images = laid_out(rendered, self.request.teacher)
        shown = images
        for transform in parts.transforms:
            shown = transform(shown, rng, self.steps_done)
        return Scene(
            images=images,
            shown=shown,
            seen=self._observe(shown),
            labels=parts.labels,
            step=self.steps_done,
        )

    def _observe(self, shown: Tensor) -> Observation:
        reads = frozenset[str]().union(*(loss.reads for _, loss in self._losses.values()))
        with torch.autocast(shown.device.type, torch.bfloat16, enabled=self.parts.bfloat16):
            seen = self.request.stored.observe(
                self._model,
                shown,
                per_image="per-image" in reads,
                features="features" in reads,
                outputs=self.parts.outputs,
            )
        if not self.parts.bfloat16:
            return seen
        features = None if seen.features is None else seen.features.float()
        return Observation(
            seen.moments, seen.logits.float(), seen.per_image, features, seen.outputs
        )

    @torch.no_grad()
    def _keep(self, images: Tensor, total: Tensor) -> None:
        if self.parts.keep_best:
            if float(total) >= self._least:
                return
            self._least = float(total)
        # Pixels are updated in place, so that they must be copied; what a generator renders is new.
        is_leaf = any(images.data_ptr() == p.data_ptr() for p in self.parts.canvas.parameters())
        self._images = images.detach().clone() if is_leaf else images.detach()

    def images(self) -> Tensor:
        if self.parts.finish is not None and self.steps_done == self.total_steps:
            return self.parts.finish(self._images)
        return self._images

    def labels(self) -> Tensor | None:
        return self.parts.labels

    def readings(self) -> dict[str, float]:
        """With labels: the share of the images that the teacher takes for what they are to show."""
        labels, seen = self.parts.labels, self.latest
        if labels is None or seen is None or len(seen.logits) != len(labels):
            return {}
        return {"teacher_share": teacher_share(seen.logits, labels)}

    def state_dict(self) -> dict[str, Any]:
        parts = self.parts
        return {
            "canvas": parts.canvas.state_dict(),
            "optimisers": {name: each.state_dict() for name, each in parts.optimisers.items()},
            "losses": {name: loss.state_dict() for name, (_, loss) in self._losses.items()},
            "labels": parts.labels,
            "rng": self.request.rng.get_state(),
            "images": self._images,
            "least": self._least,
            "steps_done": self.steps_done,
            "settings": asdict(self.request.settings),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        parts = self.parts
        parts.canvas.load_state_dict(state["canvas"])
        for name, optimiser in parts.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
        for name, (_, loss) in self._losses.items():
            saved = state["losses"].get(name)
            if saved:  # a fork may switch on what was off, or without a memory
                loss.load_state_dict(saved)
        if state["labels"] is not None:  # else those drawn just now, which a fork may want first
            parts.labels = state["labels"]
        self.request.rng.set_state(state["rng"])
        self._images, self._least = state["images"], state["least"]
        self.steps_done = state["steps_done"]
        if state["settings"] != asdict(self.request.settings):
            self._start_afresh()

    def _start_afresh(self) -> None:
        """In a fork sums of losses do not compare with those before: none of them is the best so far."""
        self._least = float("inf")
        for optimiser in self.parts.optimisers.values():
            optimiser.start_afresh()


def _nothing_left(method: type[ComposedMethod], settings: Any) -> str:
    """Which weights are at 0 of which one alone is enough."""
    weights = [name for name in asdict(settings) if "weight" in name.split("_")]
    ways = ", ".join(
        f"synthesis.{name}"
        for name in weights
        if not getattr(settings, name) and name not in method.only_beside
    )
    return f"synthesis {method.card.name!r} has nothing to minimise: set a weight above 0 ({ways})"
