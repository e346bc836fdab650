"""GDFQ: a generator told the class, trained so that the teacher recognises it and its statistics agree.

Xu et al., "Generative Low-bitwidth Data Free Quantization", ECCV 2020, arXiv:2003.03603, section 3.2.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from engine.core.method import MethodCard
from engine.synthesis.composed import Weighted
from engine.synthesis.generators.generator_method import GeneratorMethod
from engine.synthesis.generators.settings import ClassGeneratorSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class GdfqSettings(ClassGeneratorSettings):
    """GDFQ's settings; the defaults are the paper's for small images."""


class Gdfq(GeneratorMethod):
    """Minimises CE(F(G(z, y)), y) + 0.1 · the BatchNorm distance of the batch, over G alone.

    With `co_training` a student learns in turn with the generator, as in the paper (section 3.3).
    """

    card = MethodCard(
        name="gdfq",
        title="GDFQ",
        summary="A generator is told a class, and learns images that the network takes for it.",
        paper="Xu et al., Generative Low-bitwidth Data Free Quantization, ECCV 2020",
        url="https://arxiv.org/abs/2003.03603",
        needs=("batchnorm", "classes"),
    )
    Settings = GdfqSettings

    def terms(self) -> Mapping[str, Weighted]:
        return {"class": self.class_term(), "batchnorm": self.batchnorm_term()}
