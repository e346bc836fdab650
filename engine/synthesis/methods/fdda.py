"""FDDA: class statistics from a handful of labelled real images steer a generator, sharply and blurred.

Zhong et al., "Fine-grained Data Distribution Alignment for Post-Training Quantization", ECCV 2022,
arXiv:2109.04186, section 3.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.core.errors import UserError
from engine.core.layout import laid_out
from engine.core.method import Losses, MethodCard, knob, knob_of
from engine.synthesis.base import Request
from engine.synthesis.composed import Weighted
from engine.synthesis.generators.generator_method import GeneratorMethod
from engine.synthesis.generators.networks.classmix import of_labels
from engine.synthesis.generators.settings import ClassGeneratorSettings
from engine.synthesis.loss import Scene
from engine.synthesis.losses.centres import Blur, ClassCentres
from engine.synthesis.statistics.classwise import ClassMemory, deep_half, gather
from engine.synthesis.statistics.settings import form_of
from engine.synthesis.target_classes import one_class


@dataclass(frozen=True, slots=True, kw_only=True)
class FddaSettings(ClassGeneratorSettings):
    """FDDA's settings; the defaults are the paper's for ImageNet, the only data it reports."""

    batch: int = knob(
        16, label="Images per step", help="images that the generator makes at a time, twice a step",
        low=2, high=1024, quick=24, standard=64,
    )  # fmt: skip
    class_weight: float = knob(
        0.5,
        label="Weight of the class term",
        help="cross entropy between the teacher's answer and the class asked for, in both batches",
        low=0, high=100,
    )  # fmt: skip
    bn_weight: float = knob(
        0.2,
        label="Weight of the BatchNorm term",
        help="squared distance of the batch's means and variances from the stored ones",
        low=0, high=100,
    )  # fmt: skip
    central_weight: float = knob(
        0.01,
        label="Weight of the class centres",
        help="squared distance of a class's statistics from those of its real images",
        low=0, high=100, quick=0.05, standard=0.05,
    )  # fmt: skip
    blurred_weight: float = knob(
        0.9,
        label="Weight of the blurred class centres",
        help="the same, with noise on the centres that is drawn anew for every step",
        low=0, high=100,
    )  # fmt: skip
    noise: str = knob(
        "absolute",
        label="Noise is",
        help="absolute, as in the paper, or relative to each layer's deviation and variance",
        choices=("absolute", "relative"), quick="relative", standard="relative",
    )  # fmt: skip
    noise_mean: float = knob(
        0.5, label="Noise on means", help="its standard deviation", low=0, high=10, quick=0.25,
        standard=0.25, off=0.0, within="blurred_weight",
    )  # fmt: skip
    noise_variance: float = knob(
        1.0, label="Noise on variances", help="its standard deviation", low=0, high=10, quick=0.5,
        standard=0.5, off=0.0, within="blurred_weight",
    )  # fmt: skip
    images_per_class: int = knob(
        1, label="Real images per class", help="labelled images that a centre is measured on, at most",
        low=1, high=1000,
    )  # fmt: skip
    recognised: bool = knob(
        True,
        label="Recognised images only",
        help="leave out real images that the network itself takes for another class",
    )
    layers: str = knob(
        "deep-half",
        label="Layers of the class terms",
        help="the deeper half, where classes part, or all",
        choices=("deep-half", "all"),
        off="all",
    )
    student_lr: float = knob_of(
        ClassGeneratorSettings, "student_lr", default=1e-6,
        help="of stochastic gradient descent, momentum 0.9; drops with the generator's",
    )  # fmt: skip
    student_warm_up: float = knob_of(
        ClassGeneratorSettings, "student_warm_up", default=0.125,
        help="share of the steps that belong to the generator alone, at first",
    )  # fmt: skip
    student_distillation: float = knob_of(
        ClassGeneratorSettings, "student_distillation", default=20.0, quick=1.0, standard=1.0,
    )  # fmt: skip
    student_kl_over: str = knob_of(ClassGeneratorSettings, "student_kl_over", default="images")


class Fdda(GeneratorMethod):
    """A step makes two batches: one of any classes, with GDFQ's terms, and one of a single class.

    The second is drawn to the class's centre (BNS-centralised) and to the centre under noise
    (BNS-distorted), and recognised too. Classes without a centre are never the second batch's. (The
    released code gives these random targets for four epochs first, and breaks where its warm-up ends;
    left out. So are the real images from the paper's student: with `co_training` it learns from the first
    batch alone. Its rate drops in steps, with the generator's; the paper's falls by a cosine.)
    Spread, distance and reductions are chosen for all three terms at once; `scope` is of the first alone.
    """

    card = MethodCard(
        name="fdda",
        title="FDDA",
        summary="One labelled real image of each class tells a generator where its class lies.",
        paper="Zhong et al., Fine-grained Data Distribution Alignment for Post-Training Quantization, "
        "ECCV 2022",
        url="https://arxiv.org/abs/2109.04186",
        needs=("batchnorm", "classes", "labelled-images"),
    )
    Settings = FddaSettings

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self.centres = ClassMemory(request.classes)
        if self.total_steps:
            self.centres = self._measure()
        self._of_one = self._terms_of_one()

    def adds_losses(self) -> bool:
        settings = self.request.settings
        return bool(settings.central_weight or settings.blurred_weight)

    def terms(self) -> Mapping[str, Weighted]:
        return {"class": self.class_term(), "batchnorm": self.batchnorm_term()}

    def step(self) -> Losses:
        scene, one = self.look(), self._look_at_one()
        losses = self.weighted(scene)
        for name, (weight, loss) in self._of_one.items():
            term = weight * loss(one)
            losses[name] = losses[name] + term if name in losses else term
        return self.update(scene, losses)

    def _terms_of_one(self) -> dict[str, Weighted]:
        request, settings = self.request, self.request.settings
        depth = len(request.stored.moments)
        layers = range(depth) if settings.layers == "all" else deep_half(depth)
        blur = Blur(
            mean=settings.noise_mean,
            variance=settings.noise_variance,
            relative=settings.noise == "relative",
        )
        parts = (self.centres, request.stored.moments, layers, request.rng)
        form = form_of(settings)
        terms = {
            "class": self.class_term(),
            "central": (settings.central_weight, ClassCentres(*parts, **form)),
            "blurred": (settings.blurred_weight, ClassCentres(*parts, blur, **form)),
        }
        return {name: term for name, term in terms.items() if term[0]}

    def _look_at_one(self) -> Scene:
        request = self.request
        has_centre = self.centres.known.nonzero()[:, 0].cpu()
        pick = one_class(request.settings.batch, len(has_centre), request.rng)
        labels = has_centre[pick]
        images = self.canvas.draw(of_labels(labels), request.rng)
        images = laid_out(images, request.teacher)
        seen = request.stored.observe(request.teacher, images, per_image=True)
        return Scene(
            images=images,
            shown=images,
            seen=seen,
            labels=labels.to(request.device),
            step=self.steps_done,
        )

    def _measure(self) -> ClassMemory:
        """The centres, of at most so many images of each class; says which classes have none."""
        request, settings = self.request, self.request.settings
        assert request.real is not None
        assert request.real_labels is not None
        images, labels = first_of_each(
            request.real, request.real_labels, settings.images_per_class, request.classes
        )
        there = len(labels.unique())
        centres, logits = gather(
            request.stored, request.teacher, images, labels, classes=request.classes
        )
        if settings.recognised:
            right = logits.argmax(1).cpu() == labels
            if not right.any():
                raise UserError(
                    f"synthesis 'fdda' has no class centre: the network recognises none of the "
                    f"{len(labels)} labelled images; check model.calibration, or set "
                    "synthesis.recognised=false"
                )
            centres, _ = gather(
                request.stored, request.teacher, images[right], labels[right],
                classes=request.classes,
            )  # fmt: skip
        known = int(centres.known.sum())
        self.notes.append(
            f"FDDA: {known} of {request.classes} classes have a centre, from at most "
            f"{settings.images_per_class} real image(s) each; {request.classes - there} have no image, "
            f"and of {there - known} the network recognises none."
        )
        return centres


def first_of_each(
    images: Tensor, labels: Tensor, per_class: int, classes: int
) -> tuple[Tensor, Tensor]:
    """The first so many images of each class and their labels, in the order in which they stand."""
    if int(labels.max()) >= classes:
        raise UserError(
            f"a real image has label {int(labels.max())}, and the network tells {classes} classes "
            "apart, counted from 0; give labels that belong to it"
        )
    taken = torch.zeros(len(labels), dtype=torch.bool)
    for label in labels.unique():
        taken[(labels == label).nonzero()[:per_class, 0]] = True
    return images[taken], labels[taken]
