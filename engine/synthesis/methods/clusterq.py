"""ClusterQ: each class of the generated images is drawn to a slowly moving centroid of its own statistics.

Inspired by Gao et al., "Towards Feature Distribution Alignment and Diversity Enhancement for Data-Free
Quantization" (ClusterQ), ICDM 2022, arXiv:2205.00179: the method is what its abstract describes. The
released code keeps the network's running statistics as the centroid of every class, so that all
centroids are equal and never move; that is not reproduced.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from engine.core.method import MethodCard, knob, knob_of
from engine.synthesis.augmentations import LocalCrop, Transform
from engine.synthesis.base import Request
from engine.synthesis.composed import Weighted
from engine.synthesis.generators.generator_method import GeneratorMethod
from engine.synthesis.generators.networks.classmix import ClassMix, of_labels
from engine.synthesis.generators.settings import ClassGeneratorSettings
from engine.synthesis.loss import Scene
from engine.synthesis.losses.centres import Blur, ClassCentres
from engine.synthesis.statistics.classwise import ClassMemory, deep_half
from engine.synthesis.statistics.settings import form_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterqSettings(ClassGeneratorSettings):
    """ClusterQ's settings; as released for CIFAR-10, but for the noise, which is relative."""

    batch: int = knob(
        512, label="Images per step", help="images that the generator makes at a time",
        low=2, high=1024, quick=32, standard=64,
    )  # fmt: skip
    latent: int = knob(
        10,
        label="Entries of the latent",
        help="random numbers an image begins with",
        low=1,
        high=4096,
        fixed=True,
    )
    centroid_weight: float = knob(
        0.9,
        label="Weight of the centroid term",
        help="squared distance of each class's statistics from its centroid",
        low=0, high=100,
    )  # fmt: skip
    beta: float = knob(
        0.2, label="Pace of the centroids", help="how far a centroid moves towards its class each "
        "time; 0: it stays where it first was, 1: no average, the newest moments alone",
        low=0, high=1, off=(0.0, 1.0), within="centroid_weight",
    )  # fmt: skip
    warm_up: float = knob(
        0.025,
        label="Warm-up",
        help="share of the steps before the centroids are there",
        low=0, high=1, quick=0.2, standard=0.1, off=0.0, within="centroid_weight",
    )  # fmt: skip
    pace: float = knob(
        0.0025,
        label="Between two moves of the centroids",
        help="as a share of the steps; the paper's epoch is 1 of 400",
        low=0, high=1, quick=0.02, standard=0.01,
    )  # fmt: skip
    noise: float = knob(
        0.1,
        label="Noise on the centroids",
        help="uniform, up to this share of the layer's deviation and variance, against collapse; 0: none",
        low=0, high=10, off=0.0, within="centroid_weight",
    )  # fmt: skip
    layers: str = knob(
        "deep-half",
        label="Layers of the centroid term",
        help="the deeper half, where classes part, or all",
        choices=("deep-half", "all"),
        off="all",
        within="centroid_weight",
    )
    crop: float = knob(
        0.5,
        label="Share of cropped batches",
        help="how often generated images are cropped and mirrored before the network sees them",
        low=0, high=1, off=0.0,
    )  # fmt: skip
    together: int = knob(
        4,
        label="Images of a class in a batch",
        help="at least as many on average, by taking fewer classes at a time: one image has no spread",
        low=1, high=1024,
    )  # fmt: skip
    student_warm_up: float = knob_of(
        ClassGeneratorSettings, "student_warm_up", default=0.025,
        help="share of the steps that belong to the generator alone, at first",
    )  # fmt: skip
    student_kl_over: str = knob_of(ClassGeneratorSettings, "student_kl_over", default="images")


class Clusterq(GeneratorMethod):
    """Minimises GDFQ's two terms + 0.9 · the distance of each class from its centroid, over G alone.

    m ← (1 − β) m + β m̂ at the end of every epoch, m̂ from all images of the epoch that the teacher
    takes for the class asked for; the first comes after the warm-up, whole. Spread, distance and reductions
    of the statistics are chosen for both terms at once; `scope` is of the BatchNorm term alone.
    """

    card = MethodCard(
        name="clusterq",
        title="ClusterQ",
        summary="Generated images of one class are drawn together, by statistics of the deeper layers.",
        paper="Inspired by Gao et al., Towards Feature Distribution Alignment and Diversity Enhancement "
        "for Data-Free Quantization, ICDM 2022",
        url="https://arxiv.org/abs/2205.00179",
        needs=("batchnorm", "classes"),
    )
    Settings = ClusterqSettings

    def __init__(self, request: Request) -> None:
        self.centroids = ClassMemory(request.classes)
        self._fresh = ClassMemory(request.classes)
        super().__init__(request)
        settings = request.settings
        self._warm_up = round(settings.warm_up * settings.steps)
        self._epoch = max(1, round(settings.pace * settings.steps))

    def terms(self) -> Mapping[str, Weighted]:
        request, settings = self.request, self.request.settings
        depth = len(request.stored.moments)
        centres = ClassCentres(
            self.centroids,
            request.stored.moments,
            range(depth) if settings.layers == "all" else deep_half(depth),
            request.rng,
            Blur(mean=settings.noise, variance=settings.noise, shape="uniform")
            if settings.noise
            else None,
            **form_of(settings),
        )
        return {
            "class": self.class_term(),
            "batchnorm": self.batchnorm_term(),
            "centroid": (settings.centroid_weight, centres),
        }

    def transforms(self) -> Sequence[Transform]:
        crop = self.request.settings.crop
        return [LocalCrop(least=0.8, probability=crop)] if crop else ()

    def draw_classes(self, count: int) -> ClassMix:
        classes, rng = self.request.classes, self.request.rng
        chosen = torch.randperm(classes, generator=rng)
        chosen = chosen[: max(1, count // self.request.settings.together)]
        return of_labels(chosen[torch.randint(len(chosen), (count,), generator=rng)])

    def look(self) -> Scene:
        scene = super().look()
        if scene.seen.per_image is not None:
            self._move(scene)
        return scene

    def _move(self, scene: Scene) -> None:
        """Take in the batch, and at the end of an epoch move the centroids (before the loss reads them)."""
        assert scene.seen.per_image is not None
        right = scene.seen.logits.argmax(1) == scene.target
        rows = [
            type(m)(m.mean.detach()[right], m.std.detach()[right], m.count)
            for m in scene.seen.per_image
        ]
        self._fresh.add(rows, scene.target[right])
        done = scene.step + 1
        if done % self._epoch == 0:
            if done >= self._warm_up:
                self.centroids.move_towards(self._fresh, self.request.settings.beta)
            self._fresh = ClassMemory(self.request.classes)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"fresh": self._fresh.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._fresh.load_state_dict(state["fresh"])
