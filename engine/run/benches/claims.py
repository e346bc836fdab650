"""What the papers claim of their images, as plain data: sets of images, and in what they should differ."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

RESNET, VGG = "resnet20-fashion", "vgg-fashion"
CIFAR = "resnet20-cifar10"  # of the user's own data: see engine/run/benches/cifar.py


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSet:
    """How a set of images is made: a method, and its settings where they differ from the budget's."""

    title: str
    method: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    batches: int = 1  # that the images are made in
    generator: bool = False  # one generator is trained, then draws them all


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """That one set of images has more (or less) of something than another, its baseline.

    Asserted ones are of a paper and were expected of any network; the others are reported only. Some of
    the asserted do not hold here either, and stand as they came out.
    """

    name: str
    says: str  # in one sentence
    of: str  # what is measured, in words
    method: str  # names of sets
    baseline: str
    metric: str
    lower: bool  # the method's is to be the lower one
    baseline_metric: str = ""  # where it is another than the method's
    network: str = RESNET
    asserted: bool = False
    titles: tuple[str, str] = ("", "")  # of method and baseline, where not those of their sets

    def words(self) -> dict[str, str]:
        """What a page writes of it."""
        method, baseline = self.titles
        return {
            "says": self.says,
            "of": self.of,
            "method_title": method or SETS[self.method].title,
            "baseline_title": baseline or SETS[self.baseline].title,
        }


SETS: Mapping[str, ImageSet] = {
    "zeroq": ImageSet(title="ZeroQ", method="zeroq"),
    "zeroq-gaussian": ImageSet(
        title="ZeroQ from noise", method="zeroq", settings={"start": "gaussian"}
    ),
    "dsg": ImageSet(title="DSG", method="dsg"),
    "dsg-emphasis": ImageSet(title="Layer emphasis alone", method="dsg", settings={"slack": 0.0}),
    "intraq": ImageSet(title="IntraQ", method="intraq", batches=2),
    "intraq-off": ImageSet(
        title="IntraQ, its parts off",
        method="intraq",
        settings={"crop": 0.0, "least_share": 1.0, "margin_weight": 0.0},
        batches=2,
    ),
    "gdfq": ImageSet(title="GDFQ", method="gdfq", generator=True),
    "fdda": ImageSet(title="FDDA", method="fdda", generator=True),
    "qimera": ImageSet(title="Qimera", method="qimera", generator=True),
    "clusterq": ImageSet(title="ClusterQ", method="clusterq", generator=True),
    "gzsq": ImageSet(title="GZSQ, moment form", method="gzsq"),
    "noise": ImageSet(title="Noise", method="noise"),
    "aac": ImageSet(title="AAC (inspired by)", method="aac"),
    "aac-no-logit": ImageSet(
        title="AAC without the logit", method="aac", settings={"logit_weight": 0.0}
    ),
    "deep-inversion": ImageSet(title="DeepInversion", method="deep-inversion"),
    "genie": ImageSet(title="GENIE-D", method="genie"),
    "genie-no-swing": ImageSet(
        title="GENIE-D without swing", method="genie", settings={"swing": False}
    ),
    "genie-generator": ImageSet(
        title="Generator alone", method="genie", settings={"optimise": "generator"}
    ),
    "genie-pixels": ImageSet(title="Pixels alone", method="genie", settings={"optimise": "pixels"}),
}

_GAP = "mean over layers of the distance from the stored statistics, in stored variances"
_KL = "KL divergence of teacher and student on real test images, nats, nearest rounding"

CLAIMS = (
    Claim(
        name="dsg-pixels", says="DSG's images repeat each other less than ZeroQ's.",
        of="mean |cosine| between the pixels of two images",
        method="dsg", baseline="zeroq", metric="pixel_correlation", lower=True, asserted=True,
    ),
    Claim(
        name="intraq-class",
        says="IntraQ's images of one class differ more than those of statistics and class alone.",
        of="mean of 1 − cosine between penultimate features within a class",
        method="intraq", baseline="intraq-off", metric="within_class_distance", lower=False,
        asserted=True,
    ),
    Claim(
        name="gzsq-bits",
        says="Without BatchNorm, GZSQ's images calibrate the network better than noise.",
        of=f"W4A4: {_KL}",
        method="gzsq", baseline="noise", metric="kl_w4a4", lower=True, network=VGG, asserted=True,
    ),
    Claim(
        name="aac-peaks", says="AAC's images show the real peaks of activations better than ZeroQ's.",
        of="mean over layers of |log ratio| of peaks, images' own maxima averaged, to real images'",
        method="aac", baseline="zeroq", metric="peak_error", lower=True, asserted=True,
    ),
    Claim(
        name="aac-logit", says="To ask for a high score of the class brings AAC's peaks nearer to real ones.",
        of="mean over layers of |log ratio| of peaks, images' own maxima averaged, to real images'",
        method="aac", baseline="aac-no-logit", metric="peak_error", lower=True,
    ),
    Claim(
        name="aac-bits", says="AAC's images calibrate the network better than ZeroQ's.",
        of=f"W4A4: {_KL}", method="aac", baseline="zeroq", metric="kl_w4a4", lower=True,
    ),
    Claim(
        name="fdda-classes",
        says="FDDA's images of a class lie nearer to the real class in deep layers than GDFQ's.",
        of="squared distance of class means from those of held-out real images, in stored variances",
        method="fdda", baseline="gdfq", metric="class_gap", lower=True, asserted=True,
    ),
    Claim(
        name="dsg-spread", says="DSG's images differ more in their own statistics than ZeroQ's.",
        of="standard deviation over images of their means, in stored standard deviations",
        method="dsg", baseline="zeroq", metric="spread", lower=False,
    ),
    Claim(
        name="dsg-start", says="DSG's images repeat each other less than ZeroQ's from the same noise.",
        of="mean |cosine| between the pixels of two images",
        method="dsg", baseline="zeroq-gaussian", metric="pixel_correlation", lower=True,
    ),
    Claim(
        name="dsg-emphasis", says="With layer emphasis, each image fits its own layer better.",
        of="an image's gap in its own layer over the mean gap of all images there, mean over images",
        method="dsg-emphasis", baseline="zeroq-gaussian", metric="own_layer_gap", lower=True,
    ),
    Claim(
        name="gzsq-fewer-bits",
        says="GZSQ's images calibrate better than noise at activations of three bits, too.",
        of=f"W4A3: {_KL}",
        method="gzsq", baseline="noise", metric="kl_w4a3", lower=True, network=VGG,
    ),
    Claim(
        name="deep-inversion-class", says="DeepInversion's images are recognised as their class.",
        of="share of images that the teacher takes for the class asked for; the baseline's classes "
        "are dealt out",
        method="deep-inversion", baseline="zeroq", metric="teacher_share", lower=False,
    ),
    Claim(
        name="deep-inversion-smooth", says="DeepInversion's images are smoother than ZeroQ's.",
        of="mean absolute difference of neighbouring pixels",
        method="deep-inversion", baseline="zeroq", metric="total_variation", lower=True,
    ),
    Claim(
        name="batchnorm", says="Taking BatchNorm statistics anew undoes part of what few bits shift.",
        of=f"W4A3, ZeroQ's images, corrected and not: {_KL}",
        method="zeroq", baseline="zeroq", metric="kl_w4a3_replaced", baseline_metric="kl_w4a3",
        lower=True, titles=("corrected", "not corrected"),
    ),
    Claim(
        name="genie-pixels", says="GENIE's latents and generator agree better than pixels alone.",
        of=_GAP, method="genie", baseline="genie-pixels", metric="gap", lower=True,
    ),
    Claim(
        name="genie-generator", says="GENIE's latents and generator agree better than a generator alone.",
        of=_GAP, method="genie", baseline="genie-generator", metric="gap", lower=True,
    ),
    Claim(
        name="genie-swing-gap", says="Swing convolution brings the finished images nearer.",
        of=_GAP, method="genie", baseline="genie-no-swing", metric="gap", lower=True,
    ),
    Claim(
        name="genie-swing-detail", says="Swing convolution leaves less of a checkerboard.",
        of="share of the images' power above 0.25 cycles a pixel",
        method="genie", baseline="genie-no-swing", metric="fine_share", lower=True,
    ),
    Claim(
        name="qimera-boundary", says="Qimera makes more images between classes than GDFQ.",
        of="share of images whose two largest probabilities differ by less than 0.5",
        method="qimera", baseline="gdfq", metric="boundary", lower=False,
    ),
    Claim(
        name="clusterq-classes", says="ClusterQ's classes lie further apart than GDFQ's.",
        of="scatter of the class centres of features over the mean scatter within classes",
        method="clusterq", baseline="gdfq", metric="separation", lower=False,
    ),
)  # fmt: skip

# What can be measured on a network of another size too, at an affordable price.
_ALSO = (
    "dsg-pixels", "dsg-start", "dsg-spread", "intraq-class", "aac-peaks", "aac-logit", "aac-bits",
    "fdda-classes",
)  # fmt: skip
ON_CIFAR = tuple(replace(claim, network=CIFAR) for claim in CLAIMS if claim.name in _ALSO)
