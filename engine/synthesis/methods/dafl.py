"""DAFL-style: a generator that is told no class, only that the teacher should be sure and respond.

Inspired by Chen et al., "Data-Free Learning of Student Networks", ICCV 2019, arXiv:1904.01186,
section 3.2. Made to train small students, not to quantize, and offered here as an experiment. Reads no
BatchNorm statistics.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from engine.core.method import MethodCard, knob, knob_of
from engine.synthesis.composed import Weighted
from engine.synthesis.generators.generator_method import GeneratorMethod
from engine.synthesis.generators.networks.embedding import Embedding, PlainLatent
from engine.synthesis.generators.settings import GeneratorSettings
from engine.synthesis.losses.classes import LabelEntropy, OwnLabel
from engine.synthesis.losses.features import ActivationNorm


@dataclass(frozen=True, slots=True, kw_only=True)
class DaflSettings(GeneratorSettings):
    """DAFL-style settings; the weights are the paper's, budget and rate this project's choice."""

    steps: int = knob(
        24_000,
        label="Steps of the generator",
        help="optimisation steps for the one generator that draws all images",
        low=1, high=1_000_000, quick=600, standard=3000,
    )  # fmt: skip
    batch: int = knob(
        512, label="Images per step", help="images that the generator makes at a time",
        low=2, high=1024, quick=32, standard=64,
    )  # fmt: skip
    lr_drops: int = knob(
        0,
        label="Drops of the learning rate",
        help="how often it is divided by ten, at even distances",
        low=0, high=10,
    )  # fmt: skip
    one_hot_weight: float = knob(
        1.0, label="Weight of being sure", help="cross entropy with the network's own first choice",
        low=0, high=100,
    )  # fmt: skip
    activation_weight: float = knob(
        0.1, label="Weight of responding", help="how strongly the last features should be active",
        low=0, high=100,
    )  # fmt: skip
    balance_weight: float = knob(
        5.0, label="Weight of balance", help="how evenly the classes should be chosen in a batch",
        low=0, high=100,
    )  # fmt: skip
    student_distillation: float = knob_of(
        GeneratorSettings, "student_distillation", low=1e-6, off=(),
        help="how much it counts to answer as the teacher does; all that the student learns from here",
    )  # fmt: skip
    student_kl_over: str = knob_of(GeneratorSettings, "student_kl_over", default="images")


class Dafl(GeneratorMethod):
    """Minimises being unsure + 5 · imbalance of classes − 0.1 · mean |feature|, over G(z) alone."""

    card = MethodCard(
        name="dafl",
        title="DAFL-style (experimental)",
        summary="A generator is told nothing but to make the network sure, and of every class in turn.",
        paper="Inspired by Chen et al., Data-Free Learning of Student Networks, ICCV 2019",
        url="https://arxiv.org/abs/1904.01186",
        needs=("classes",),
    )
    Settings = DaflSettings
    teaches_classes = False

    def terms(self) -> Mapping[str, Weighted]:
        settings = self.request.settings
        losses: dict[str, Weighted] = {
            "one-hot": (settings.one_hot_weight, OwnLabel()),
            "balance": (settings.balance_weight, LabelEntropy()),
        }
        if self.request.stored.classifier:
            losses["activation"] = (settings.activation_weight, ActivationNorm())
        else:
            self.notes.append(
                "DAFL: this network ends in neither a linear layer nor a 1x1 convolution, whose features "
                "should be active, so that term is left out."
            )
        return losses

    def embedding(self) -> Embedding:
        return PlainLatent(self.request.settings.latent)

    def class_norms(self) -> bool:
        return False

    def labels(self) -> Tensor | None:
        """None: the generator is told no class."""
        return None

    def readings(self) -> dict[str, float]:
        return {
            name: value for name, value in super().readings().items() if name != "teacher_share"
        }
