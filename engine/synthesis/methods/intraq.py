"""IntraQ: images of one class that differ from each other, as real ones do.

Zhong et al., "IntraQ: Learning Synthetic Images with Intra-Class Heterogeneity for Zero-Shot Network
Quantization", CVPR 2022, arXiv:2111.09136: local object reinforcement, marginal distance constraint and
soft inception loss. The defaults are the released CIFAR-10 script's.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.core.errors import UserError
from engine.core.method import MethodCard, knob
from engine.core.sampling.randomness import stream
from engine.synthesis.augmentations import LocalCrop
from engine.synthesis.canvas import Pixels
from engine.synthesis.composed import ComposedMethod, Composition
from engine.synthesis.losses.classes import SoftTarget
from engine.synthesis.losses.features import MarginCosine, class_sums
from engine.synthesis.losses.statistics import StatisticsLoss
from engine.synthesis.schedules import Optimiser, Plateau, adam
from engine.synthesis.statistics.settings import StatisticsSettings, statistics_of
from engine.synthesis.target_classes import uniform


@dataclass(frozen=True, slots=True, kw_only=True)
class IntraQSettings(StatisticsSettings):
    """IntraQ's settings; the defaults are those of CIFAR-10."""

    steps: int = knob(
        1000,
        label="Steps per batch",
        help="optimisation steps for each batch of images",
        low=1, high=100_000, quick=200, standard=500,
    )  # fmt: skip
    batch: int = knob(
        256,
        label="Images per batch",
        help="images optimised at a time; centres of classes are known from the second batch on",
        low=2, high=1024, quick=64, standard=64,
    )  # fmt: skip
    lr: float = knob(0.5, label="Learning rate", help="Adam's, of the pixels", low=1e-6, high=10)
    batchnorm_weight: float = knob(
        1.0, label="Weight of the statistics", help="at every BatchNorm layer", low=0, high=1000
    )
    class_weight: float = knob(
        1.0, label="Weight of the class", help="squared gap of the label's probability",
        low=0, high=1000,
    )  # fmt: skip
    least_share: float = knob(
        0.95,
        label="Least probability aimed at",
        help="half of the images aim at a probability between this and 1 (1: soft targets off; ImageNet 0.9)",
        low=0, high=1, off=1.0, within="class_weight",
    )  # fmt: skip
    margin_weight: float = knob(
        1.0, label="Weight of the distance to the class", help="0 switches the margins off",
        low=0, high=1000,
    )  # fmt: skip
    lower: float = knob(
        0.05, label="Least distance", help="cosine distance to the class's centre (ImageNet 0.3; 0: none)",
        low=0, high=2, off=0.0, within="margin_weight",
    )  # fmt: skip
    upper: float = knob(
        0.8, label="Greatest distance", help="cosine distance to the class's centre (2: none)",
        low=0, high=2, off=2.0, within="margin_weight",
    )  # fmt: skip
    crop: float = knob(
        0.5,
        label="Probability of local crops",
        help="of a step at which each image is seen through a crop of its own; 0: off",
        low=0, high=1, off=0.0,
    )  # fmt: skip
    least_area: float = knob(
        0.5, label="Least area of a crop", help="as a share of the image", low=0.05, high=1
    )
    handed: str = knob(
        "cropped",
        label="Images handed on",
        help="cropped: each through a crop of its own, as the paper trains its quantized network; plain: as "
        "stored, whose statistics are further off",
        choices=("cropped", "plain"),
        off="plain",
        within="crop",
    )


class IntraQ(ComposedMethod):
    """Batch statistics on locally cropped images, soft class targets, margins around class centres.

    A class's centre is the mean feature of all images of the class in earlier batches, so the first
    batch has none. The plain images are seen in half of the steps only, and their statistics end further
    off. The released code keeps the plain ones, and shows them to its quantized network through new
    crops in every step of training. Quantization from a set that stands still sees one such crop of each.

    The released ImageNet script has margins 0 and 2 and a least probability of 1, which switches margins
    and soft targets off, against the paper. The release also places its student's ranges on images of an
    untrained generator like GDFQ's; here they follow the images made.
    """

    card = MethodCard(
        name="intraq",
        title="IntraQ",
        summary="Images of one class are asked to differ: local crops, distance margins, soft class targets.",
        paper="Zhong et al., IntraQ: Learning Synthetic Images with Intra-Class Heterogeneity, CVPR 2022",
        url="https://arxiv.org/abs/2111.09136",
        needs=("batchnorm", "classes"),
    )
    Settings = IntraQSettings
    only_beside = ("margin_weight",)  # the first batch has no distances yet

    def compose(self) -> Composition:
        request, settings = self.request, self.request.settings
        if settings.margin_weight and not request.stored.classifier:
            self.notes.append(
                "IntraQ: this network ends in neither a linear layer nor a 1x1 convolution, whose features "
                "the distances are between, so they are left out."
            )
        elif settings.margin_weight:
            self._check_margins()
        labels = uniform(request.shape[0], request.classes, request.rng)
        statistics = StatisticsLoss(targets=request.stored.moments, **statistics_of(settings))
        canvas = Pixels.gaussian(request)
        optimiser = adam(canvas.parameters(), settings.lr)
        self._drawn = torch.rand(2, request.shape[0], generator=request.rng)
        self._soft = SoftTarget(soft_targets(self._drawn, settings.least_share))
        crop = LocalCrop(least=settings.least_area, probability=settings.crop)
        cropped = settings.crop and settings.handed == "cropped"
        return Composition(
            canvas=canvas,
            labels=labels,
            losses={
                "batchnorm": (settings.batchnorm_weight, statistics),
                "class": (settings.class_weight, self._soft),
                "margin": (settings.margin_weight if request.memory else 0.0, self._margin()),
            },
            optimisers={"pixels": Optimiser(optimiser, Plateau(optimiser, patience=50))},
            transforms=[crop] if settings.crop else [],
            finish=self._cropped if cropped else None,
        )

    def _cropped(self, images: Tensor) -> Tensor:
        """Each image through a crop of its own, the same at every call: they depend on the batch alone."""
        crop = LocalCrop(least=self.request.settings.least_area, probability=1.0)
        return crop(images, stream(self.request.batch, "intraq", "handed"), self.steps_done)

    def _check_margins(self) -> None:
        settings = self.request.settings
        if settings.lower > settings.upper:
            raise UserError(
                f"synthesis.lower is {settings.lower:g} and above synthesis.upper, {settings.upper:g}: no "
                "distance lies between; lower the one or raise the other"
            )
        if not self.request.memory:
            self.notes.append(
                "IntraQ: the first batch has no distances to the class, for want of earlier images; where "
                "all images are one batch no image has. synthesis.batch below their number makes more."
            )

    def _margin(self) -> MarginCosine:
        sums, counts = self._centres()
        return MarginCosine(
            centres=sums / counts.clamp_min(1)[:, None],
            known=counts > 0,
            lower=self.request.settings.lower,
            upper=self.request.settings.upper,
        )

    def _centres(self) -> tuple[Tensor, Tensor]:
        """Sums of features and numbers of images, by class, over all batches before."""
        memory, device = self.request.memory, self.request.device
        if memory:
            return memory["sums"].to(device), memory["counts"].to(device)
        classes = self.request.classes
        return torch.zeros(classes, 1, device=device), torch.zeros(classes, device=device)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"drawn": self._drawn}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._drawn = state["drawn"]
        self._soft.wanted = soft_targets(self._drawn, self.request.settings.least_share)

    @torch.no_grad()
    def remember(self) -> dict[str, Any]:
        request, labels = self.request, self.labels()
        if not request.stored.classifier:
            return {}
        images = self._images.to(request.device)  # the plain ones, as in the released code
        features = request.stored.observe(request.teacher, images, features=True).features
        assert features is not None
        assert labels is not None
        sums, counts = class_sums(features, labels, request.classes)
        if request.memory:
            before = self._centres()
            sums, counts = before[0] + sums, before[1] + counts
        return {"sums": sums.cpu(), "counts": counts.cpu()}


def soft_targets(chances: Tensor, least: float) -> Tensor:
    """The probability that each image aims at: half of the time 1, else between `least` and 1.

    `chances` [2, images] are drawn uniformly from [0, 1): where between the two, and whether.
    """
    drawn, which = chances
    return torch.where(which < 0.5, least + (1 - least) * drawn, torch.ones_like(drawn))
