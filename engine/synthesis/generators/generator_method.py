"""What the generator methods share: a generator is trained once, and draws every batch of the set.

GDFQ's schedule (Xu et al., ECCV 2020, arXiv:2003.03603, section 4.1). The papers train generator and
student in turn: so it is with `co_training`. Without, all images are made first, for students of any
bits, so that every synthesis method hands the same thing to every quantizer.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from engine.core.errors import UserError
from engine.core.layout import channels_last
from engine.core.method import Losses
from engine.core.sampling.randomness import seeded_init, stream
from engine.synthesis.augmentations import Transform
from engine.synthesis.base import Request
from engine.synthesis.canvas import Canvas
from engine.synthesis.composed import ComposedMethod, Composition, Weighted
from engine.synthesis.generators.co_training import CoTraining
from engine.synthesis.generators.networks.classmix import ClassMix, of_labels
from engine.synthesis.generators.networks.conditional_generator import ConditionalGenerator
from engine.synthesis.generators.networks.embedding import Embedding, PlainLatent, ScaledLatent
from engine.synthesis.loss import Scene
from engine.synthesis.losses.classes import CrossEntropy
from engine.synthesis.losses.statistics import StatisticsLoss
from engine.synthesis.schedules import Optimiser, adam, multistep
from engine.synthesis.statistics.settings import statistics_of
from engine.synthesis.target_classes import balanced, uniform

_SMALL = 64  # pixels; up to here the papers' small-image generator, above their ImageNet one


class ClassCanvas(Canvas):
    """A generator that draws new images of the classes in `mix` whenever it is asked to render."""

    def __init__(
        self, request: Request, embedding: Embedding, generator: ConditionalGenerator
    ) -> None:
        super().__init__()
        self.embedding, self.generator = embedding, generator
        self.mix: ClassMix | None = None
        self._rng, self._device = request.rng, request.device
        self.to(request.device)
        channels_last(self.generator)

    def render(self, labels: Tensor | None) -> Tensor:
        assert self.mix is not None, "no classes were drawn"
        return self.draw(self.mix, self._rng)

    def draw(self, mix: ClassMix, rng: torch.Generator) -> Tensor:
        """Images of these classes, of latents that come from `rng` alone."""
        z = torch.randn(*mix.classes.shape, self.embedding.latent, generator=rng)
        mix = mix.to(self._device)
        images: Tensor = self.generator(self.embedding(mix, z.to(self._device)), mix)
        return images


class GeneratorMethod(ComposedMethod):
    """The first batch trains the generator, the others draw from it; subclasses say by which losses.

    `images` are drawn from latents of their own that stay the same throughout, so that while the
    generator learns the pictures develop; their classes are balanced over the whole set.
    """

    # Else the student learns from the teacher's scores alone.
    teaches_classes: ClassVar[bool] = True
    canvas: ClassCanvas

    def __init__(self, request: Request) -> None:
        self._set_seed = int(torch.randint(0, 2**62, (), generator=request.rng))
        super().__init__(request)
        self.co_training = self._co_training() if self.total_steps else None
        if "canvas" in request.memory:
            self.canvas.load_state_dict(request.memory["canvas"])
            self._set_seed = request.memory["set_seed"]

    @classmethod
    def planned_steps(cls, settings: Any, batch: int) -> int:
        return 0 if batch else int(settings.steps)

    # --- what subclasses say

    @abstractmethod
    def terms(self) -> Mapping[str, Weighted]:
        """The losses of a step."""

    def embedding(self) -> Embedding:
        """How classes and latents enter, freshly initialised."""
        latent = self.request.settings.latent
        return (
            PlainLatent(latent)
            if self.class_norms()
            else ScaledLatent(self.request.classes, latent)
        )

    def class_norms(self) -> bool:
        """Whether the class enters by the BatchNorm layers."""
        wanted = self.request.settings.conditioning
        large = max(self.request.shape[2:]) > _SMALL
        return wanted == "batchnorm" or (wanted == "auto" and large)

    def transforms(self) -> Sequence[Transform]:
        """What happens to generated images before the teacher sees them."""
        return ()

    def draw_classes(self, count: int) -> ClassMix:
        """The classes of one training batch."""
        return of_labels(uniform(count, self.request.classes, self.request.rng))

    def own_classes(self, first: int, last: int) -> list[ClassMix]:
        """What the images from `first` to before `last` of the whole set show, in parts to be drawn.

        A part is normalised by its own statistics, so what is in it should be alike.
        """
        return [of_labels(self.balanced_labels(first, last))]

    # --- what subclasses use

    def balanced_labels(self, first: int, last: int) -> Tensor:
        """A stretch of one endless list of labels in which the classes take turns."""
        rng = stream(self._set_seed, "classes")
        return balanced(last, self.request.classes, rng)[first:]

    def batchnorm_term(self) -> Weighted:
        """The distance of the statistics; by default the mean over layers of MSE(m, μ) + MSE(s², σ²)."""
        request, settings = self.request, self.request.settings
        loss = StatisticsLoss(targets=request.stored.moments, **statistics_of(settings))
        return settings.bn_weight, loss

    def class_term(self) -> Weighted:
        """Cross entropy with the classes asked for."""
        return self.request.settings.class_weight, CrossEntropy()

    # --- the machine

    def compose(self) -> Composition:
        request, settings = self.request, self.request.settings
        with seeded_init(request.rng):
            embedding = self.embedding()
            generator = ConditionalGenerator(
                request.shape[1:], code=embedding.code, classes=max(request.classes, 1),
                class_norms=self.class_norms(), width=settings.width,
            )  # fmt: skip
        self.canvas = ClassCanvas(request, embedding, generator)
        learnt = adam(
            [p for p in self.canvas.parameters() if p.requires_grad],
            settings.lr,
            betas=(0.5, 0.999),
        )
        parts = settings.lr_drops + 1
        drops = [k * settings.steps // parts for k in range(1, parts)]
        return Composition(
            canvas=self.canvas,
            losses=self.terms(),
            optimisers={"generator": Optimiser(learnt, multistep(learnt, at=drops))},
            redraw=self._redraw,
            transforms=self.transforms(),
        )

    def _co_training(self) -> CoTraining | None:
        request = self.request
        if not request.settings.co_training:
            return None
        if request.student is None:
            raise UserError(
                f"synthesis {self.card.name!r} has no student to train; it comes with a run, or set "
                "synthesis.co_training=false"
            )
        self._check_teaching()
        return CoTraining(request.student, request.settings, classes=request.classes)

    def _check_teaching(self) -> None:
        names = ["student_distillation", "student_cross_entropy"][: 1 + self.teaches_classes]
        if not any(getattr(self.request.settings, name) for name in names):
            ways = ", ".join(f"synthesis.{name}" for name in names)
            raise UserError(
                f"synthesis {self.card.name!r} has nothing to teach its student: set a weight above 0 "
                f"({ways}), or synthesis.co_training=false"
            )

    def update(self, scene: Scene, losses: Losses) -> Losses:
        """The generator's step and then, of the same images, the student's."""
        done = super().update(scene, losses)
        if self.co_training is None:
            return done
        return done | self.co_training.step(
            scene.shown.detach(),
            scene.seen.logits.detach(),
            scene.labels if self.teaches_classes else None,
            scene.step,
        )

    def student_weights(self) -> dict[str, Tensor]:
        return {} if self.co_training is None else self.co_training.student.weights()

    def readings(self) -> dict[str, float]:
        """With a student: the share of the last step's images that it takes for what the teacher does."""
        readings = super().readings()
        if self.co_training is not None and self.co_training.agreement is not None:
            readings["student_agreement"] = self.co_training.agreement
        return readings

    def _redraw(self) -> Tensor:
        self.canvas.mix = self.draw_classes(self.request.settings.batch)
        return self.canvas.mix.labels(self.request.classes)

    def _keep(self, images: Tensor, total: Tensor) -> None:
        """Nothing: the images of a step are not those that are asked for."""

    @torch.no_grad()
    def images(self) -> Tensor:
        rng = stream(self._set_seed, "latents", self.request.batch)
        return torch.cat([self.canvas.draw(mix, rng) for mix in self._own()])

    def labels(self) -> Tensor | None:
        """Classes where all images show one, else distributions."""
        own, classes = self._own(), self.request.classes
        if all(mix.single for mix in own):
            return torch.cat([mix.labels(classes) for mix in own])
        return torch.cat([mix.soft(classes) for mix in own])

    def _own(self) -> list[ClassMix]:
        first = self.request.offset
        parts = self.own_classes(first, first + self.request.shape[0])
        return [part for part in parts if len(part)]

    def remember(self) -> dict[str, Any]:
        return {"canvas": self.canvas.state_dict(), "set_seed": self._set_seed}

    def state_dict(self) -> dict[str, Any]:
        state = super().state_dict() | {"set_seed": self._set_seed}
        if self.co_training is not None:
            state["co_training"] = self.co_training.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._set_seed = state["set_seed"]
        if self.co_training is not None and "co_training" in state:  # a fork may switch it on
            self.co_training.load_state_dict(state["co_training"])
