"""What the generator methods share: a generator is trained once, and draws every batch of the set.

GDFQ's schedule (Xu et al., ECCV 2020, arXiv:2003.03603, section 4.1) with the student left out: the
papers train generator and student in turn; here all images are made first, so that every synthesis
method hands the same thing to every quantizer.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.core.device import channels_last
from engine.core.method import Settings, knob
from engine.core.randomness import seeded_init, stream
from engine.synthesis.base import Request
from engine.synthesis.canvas import Canvas
from engine.synthesis.classmix import ClassMix, of_labels
from engine.synthesis.composed import ComposedMethod, Composition, Weighted
from engine.synthesis.conditional import WIDTH, ConditionalGenerator
from engine.synthesis.embedding import Embedding, PlainLatent, ScaledLatent
from engine.synthesis.labels import balanced, uniform
from engine.synthesis.losses.classes import CrossEntropy
from engine.synthesis.losses.statistics import StatisticsLoss
from engine.synthesis.schedules import Optimiser, adam, multistep
from engine.synthesis.transforms import Transform

_SMALL = 64  # pixels; up to here the papers' small-image generator, above their ImageNet one


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorSettings(Settings):
    """The knobs that all generator methods have; the defaults are GDFQ's."""

    steps: int = knob(
        80_000,
        label="Steps of the generator",
        help="optimisation steps for the one generator that draws all images",
        low=1, high=1_000_000, quick=600, standard=3000,
    )  # fmt: skip
    batch: int = knob(
        200, label="Images per step", help="images that the generator makes at a time",
        low=2, high=1024, quick=32, standard=64,
    )  # fmt: skip
    lr: float = knob(
        1e-3, label="Learning rate", help="Adam's learning rate for the generator",
        low=1e-6, high=1, quick=5e-3,
    )  # fmt: skip
    lr_drops: int = knob(
        3,
        label="Drops of the learning rate",
        help="how often it is divided by ten, at even distances",
        low=0, high=10, quick=1, standard=1,
    )  # fmt: skip
    latent: int = knob(
        100,
        label="Entries of the latent",
        help="random numbers an image begins with",
        low=1,
        high=4096,
    )
    width: int = knob(
        WIDTH,
        label="Width of the generator",
        help="channels of its widest layer; half of them take a quarter of the time",
        low=8, high=512, quick=64, standard=64,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassGeneratorSettings(GeneratorSettings):
    """The knobs of generators that are told a class; the defaults are GDFQ's."""

    conditioning: str = knob(
        "auto",
        label="How the class enters",
        help="by an embedding that scales the latent, or by class-wise BatchNorm; "
        "auto is the first for small images and the second for large ones, as in the papers",
        choices=("auto", "embedding", "batchnorm"),
    )
    class_weight: float = knob(
        1.0,
        label="Weight of the class term",
        help="cross entropy between the teacher's answer and the class asked for",
        low=0, high=100,
    )  # fmt: skip
    bn_weight: float = knob(
        0.1,
        label="Weight of the BatchNorm term",
        help="squared distance of the batch's means and variances from the stored ones",
        low=0, high=100,
    )  # fmt: skip


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

    canvas: ClassCanvas

    def __init__(self, request: Request) -> None:
        self._set_seed = int(torch.randint(0, 2**62, (), generator=request.rng))
        super().__init__(request)
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
        """The mean over layers of MSE(m, μ) + MSE(s², σ²): variances, where GENIE compares deviations."""
        loss = StatisticsLoss(targets=self.request.stored.moments, second="var", over_layers="mean")
        return self.request.settings.bn_weight, loss

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
        return super().state_dict() | {"set_seed": self._set_seed}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._set_seed = state["set_seed"]
