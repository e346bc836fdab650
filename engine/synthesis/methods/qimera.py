"""Qimera: images between classes, from superposed embeddings, where the student's boundaries are weak.

Choi et al., "Qimera: Data-free Quantization with Synthetic Boundary Supporting Samples", NeurIPS 2021,
arXiv:2111.02625, section 3.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.core.method import MethodCard, knob, knob_of
from engine.core.sampling.randomness import stream
from engine.synthesis.classifier import classifier_rows
from engine.synthesis.composed import Weighted
from engine.synthesis.generators.generator_method import GeneratorMethod
from engine.synthesis.generators.networks.classmix import ClassMix, of_labels, superposed
from engine.synthesis.generators.networks.embedding import Embedding, SuperposedEmbedding
from engine.synthesis.generators.settings import ClassGeneratorSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class QimeraSettings(ClassGeneratorSettings):
    """Qimera's settings; the defaults are the paper's for CIFAR-10."""

    conditioning: str = knob(
        "auto",
        label="How the class enters",
        help="by its embedding alone, or by class-wise BatchNorm as well; "
        "auto is the first for small images and the second for large ones, as in the paper",
        choices=("auto", "embedding", "batchnorm"),
        fixed=True,
    )
    latent: int = knob_of(
        ClassGeneratorSettings, "latent",
        help="random numbers an image begins with; used only where embeddings start at random, else there "
        "are as many as the classifier reads",
    )  # fmt: skip
    superposed: float = knob(
        0.4,
        label="Share of mixtures",
        help="how often a batch is asked for mixtures of classes instead of single ones",
        low=0, high=1, off=0.0,
    )  # fmt: skip
    together: int = knob(
        2,
        label="Classes in a mixture",
        help="classes superposed; the paper takes 2 of 10, 10 of 100, and 100 to 500 of 1000",
        low=2, high=1000,
    )  # fmt: skip
    mapped: int = knob(
        64,
        label="Disentangling mapping",
        help="entries that each embedding is mapped to before it is superposed, 0: no mapping; "
        "the paper takes 64 for small images and 100 for ImageNet",
        low=0, high=4096, fixed=True, off=0,
    )  # fmt: skip
    embeddings: str = knob(
        "classifier",
        label="Start of the embeddings",
        help="the rows of the network's own classifier, or random numbers",
        choices=("classifier", "random"),
        fixed=True,
        off="random",
    )
    frozen: bool = knob(
        False,
        label="Keep the embeddings",
        help="leave the embeddings as they start",
        fixed=True,
    )


class Qimera(GeneratorMethod):
    """Minimises the cross entropy with the mixture asked for + 0.1 · the BatchNorm distance, over G.

    With `embeddings="classifier"` embeddings and their noise have as many entries as a feature; where
    neither a linear layer nor a 1x1 convolution names the classes they are random, with `latent` entries.
    Training draws mixtures for whole batches, as the paper does; of the finished images each batch has
    its share of them.

    The released scripts for CIFAR-10, MobileNetV2 and ResNet-18 at 4 bits start from random embeddings;
    the default here is the paper's.
    """

    card = MethodCard(
        name="qimera",
        title="Qimera",
        summary="A generator is asked for mixtures of classes too, for images between them.",
        paper="Choi et al., Qimera: Data-free Quantization with Synthetic Boundary Supporting Samples, "
        "NeurIPS 2021",
        url="https://arxiv.org/abs/2111.02625",
        needs=("batchnorm", "classes"),
    )
    Settings = QimeraSettings

    def terms(self) -> Mapping[str, Weighted]:
        return {"class": self.class_term(), "batchnorm": self.batchnorm_term()}

    def embedding(self) -> Embedding:
        settings = self.request.settings
        return SuperposedEmbedding(
            self._table(), mapped=settings.mapped, trainable=not settings.frozen
        )

    def _table(self) -> Tensor:
        request = self.request
        if request.settings.embeddings == "classifier":
            rows = classifier_rows(request.teacher, request.shape[1:])
            if rows is not None:
                return rows.cpu()
            self.notes.append(
                "Qimera: neither a linear layer nor a 1x1 convolution names this network's classes, so the "
                "embeddings start at random."
            )
        return torch.randn(request.classes, request.settings.latent)  # seeded by the caller

    def draw_classes(self, count: int) -> ClassMix:
        rng = self.request.rng
        if float(torch.rand((), generator=rng)) < self.request.settings.superposed:
            return self._mixtures(count, rng)  # the whole batch
        return super().draw_classes(count)

    def own_classes(self, first: int, last: int) -> list[ClassMix]:
        share = self.request.settings.superposed
        alone = [n - round(share * n) for n in (first, last)]
        mixed = (last - first) - (alone[1] - alone[0])
        rng = stream(self._set_seed, "mixtures", first)
        return [of_labels(self.balanced_labels(*alone)), self._mixtures(mixed, rng)]

    def _mixtures(self, count: int, rng: torch.Generator) -> ClassMix:
        return superposed(count, self.request.classes, self.request.settings.together, rng)
