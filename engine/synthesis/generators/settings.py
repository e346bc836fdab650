"""The knobs of the generator methods, those of a student that is trained beside the generator among them."""

from dataclasses import dataclass

from engine.core.method import Settings, knob
from engine.synthesis.generators.networks.conditional_generator import WIDTH
from engine.synthesis.statistics.settings import StatisticsSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorSettings(Settings):
    """The knobs that all generator methods have; the defaults are GDFQ's, but that it trains no student."""

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
        low=0, high=10, quick=1, standard=1, off=0,
    )  # fmt: skip
    latent: int = knob(
        100,
        label="Entries of the latent",
        help="random numbers an image begins with",
        low=1,
        high=4096,
        fixed=True,
    )
    width: int = knob(
        WIDTH,
        label="Width of the generator",
        help="channels of its widest layer; half of them take a quarter of the time",
        low=8, high=512, quick=64, standard=64, fixed=True,
    )  # fmt: skip
    co_training: bool = knob(
        False,
        label="Train the student too",
        help="after every step of the generator, one of a student at the chosen bits, on the same images; "
        "quantization then starts from its weights. Off: all images are made first, for any bits",
    )
    student_lr: float = knob(
        1e-4,
        label="Learning rate of the student",
        help="of stochastic gradient descent, momentum 0.9; drops with the generator's (ImageNet: 1e-6)",
        low=0, high=10, quick=1e-2, standard=1e-3,
    )  # fmt: skip
    student_warm_up: float = knob(
        0.01,
        label="Warm-up of the student",
        help="share of the steps that belong to the generator alone, at first (ImageNet: 0.125)",
        low=0, high=1, quick=0.2, standard=0.2, off=0.0, within="co_training",
    )  # fmt: skip
    student_temperature: float = knob(
        20.0,
        label="Temperature of the distillation",
        help="softens the answers of the two that are compared",
        low=0.1, high=1000,
    )  # fmt: skip
    student_distillation: float = knob(
        1.0,
        label="Weight of the distillation",
        help="how much it counts to answer as the teacher does",
        low=0, high=1e6, off=0.0, within="co_training",
    )  # fmt: skip
    student_kl_over: str = knob(
        "elements",
        label="Distillation averaged over",
        help="what the weight of the distillation is meant for: images, or elements (images and classes); "
        "the second counts as many times less as there are classes",
        choices=("images", "elements"),
    )


# Without slots, as StatisticsSettings is, and a class of its own so that forms show it beside the others.
@dataclass(frozen=True, kw_only=True)
class ClassStudentSettings(Settings):
    """What a student knows of that learns from images of a class that was asked for."""

    student_cross_entropy: float = knob(
        1.0,
        label="Weight of the student's cross entropy",
        help="how much it counts to answer with the classes asked for; a generator of few steps does not "
        "show them, and then it does harm",
        low=0, high=100, quick=0.0, standard=0.0, off=0.0, within="co_training",
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassGeneratorSettings(StatisticsSettings, ClassStudentSettings, GeneratorSettings):
    """The knobs of generators that are told a class; the defaults are GDFQ's."""

    conditioning: str = knob(
        "auto",
        label="How the class enters",
        help="by an embedding that scales the latent, or by class-wise BatchNorm; "
        "auto is the first for small images and the second for large ones, as in the papers",
        choices=("auto", "embedding", "batchnorm"),
        fixed=True,
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
