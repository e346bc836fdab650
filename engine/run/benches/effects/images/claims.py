"""What the papers claim of their images, as plain data: which sets should differ, and in what.

Two rules, which the tests hold every claim to. A method and its control are made by one method, from the same
start and at the same settings but for those that are the idea. And nothing is measured that the method
itself minimises: what images look like is told by *another* network of the same data, what they are
good for by the divergence that a quantized network ends at.
"""

from dataclasses import dataclass, replace
from typing import Any

from engine.run.benches.effects.images.sets import SETS

RESNET, VGG = "resnet20-fashion", "vgg-fashion"
CIFAR = "resnet20-cifar10"  # of the user's own data: see engine/run/benches/effects/images/cifar.py
OTHER = {RESNET: "preact-fashion"}  # of the same data; that of CIFAR-10 lies in its folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """That one set of images has more (or less) of something than another, its control.

    Asserted ones are of a paper and were expected of any network; the others are reported only. Some of
    the asserted do not hold here either, and stand as they came out.
    """

    name: str
    says: str  # in one sentence
    of: str  # what is measured, in words
    method: str  # names of sets
    baseline: str  # the control
    differs: tuple[str, ...]  # the settings in which the two sets differ: the idea, and no other
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

    def compared(self) -> dict[str, Any]:
        """What a measurement is of: a file's numbers are of today's claim where this is the same."""
        sides = {"method": self.method, "baseline": self.baseline}
        return {
            **sides,
            "metric": self.metric,
            "baseline_metric": self.baseline_metric,
            "lower": self.lower,
            "settings": {side: dict(SETS[name].settings) for side, name in sides.items()},
        }


_KL = "KL divergence of teacher and student on real test images, nats, nearest rounding"
_PEAKS = "mean over layers of |log ratio| of peaks, images' own maxima averaged, to real images'"
_COSINE = "mean |cosine| between the pixels of two images"
_SHARE = "share of images that another network takes for the class asked for"

CLAIMS = (
    Claim(
        name="dsg-pixels",
        says="DSG's margins and layer emphasis make images repeat each other less.",
        of=_COSINE, method="dsg", baseline="dsg-off", differs=("slack", "emphasis"),
        metric="pixel_correlation", lower=True, asserted=True,
    ),
    Claim(
        name="intraq-class",
        says="IntraQ's images of one class differ more, to another network too.",
        of="mean of 1 − cosine between another network's penultimate features within a class asked for",
        method="intraq", baseline="intraq-off", differs=("crop", "least_share", "margin_weight"),
        metric="other_within_class", lower=False, asserted=True,
    ),
    Claim(
        name="gzsq-bits",
        says="Without BatchNorm, GZSQ's statistics calibrate the network better than none.",
        of=f"W4A4: {_KL}", method="gzsq", baseline="gzsq-off", differs=("statistics_weight",),
        metric="kl_w4a4", lower=True, network=VGG, asserted=True,
    ),
    Claim(
        name="aac-peaks",
        says="To ask for the class brings AAC's peaks of activations nearer to real ones.",
        of=_PEAKS, method="aac", baseline="aac-statistics", differs=("class_weight", "logit_weight"),
        metric="peak_error", lower=True, asserted=True,
    ),
    Claim(
        name="aac-logit", says="To ask for a high score of the class brings AAC's peaks nearer to real ones.",
        of=_PEAKS, method="aac", baseline="aac-no-logit", differs=("logit_weight",),
        metric="peak_error", lower=True,
    ),
    Claim(
        name="aac-bits", says="To ask for the class makes AAC's images calibrate the network better.",
        of=f"W4A4: {_KL}", method="aac", baseline="aac-statistics",
        differs=("class_weight", "logit_weight"), metric="kl_w4a4", lower=True,
    ),
    Claim(
        name="fdda-classes",
        says="Class centres bring FDDA's images nearer to the real class, to another network too.",
        of="squared distance of class means from those of held-out real images in another network's deep "
        "layers, in its stored variances",
        method="fdda", baseline="fdda-off", differs=("central_weight", "blurred_weight"),
        metric="other_class_gap", lower=True, asserted=True,
    ),
    Claim(
        name="dsg-spread", says="DSG's images differ more in their own statistics.",
        of="standard deviation over images of their means, in stored standard deviations",
        method="dsg", baseline="dsg-off", differs=("slack", "emphasis"), metric="spread", lower=False,
    ),
    Claim(
        name="dsg-start", says="ZeroQ's images repeat each other less where they start from noise.",
        of=_COSINE, method="zeroq-gaussian", baseline="zeroq", differs=("start",),
        metric="pixel_correlation", lower=True,
    ),
    Claim(
        name="dsg-emphasis", says="Layer emphasis alone makes images repeat each other less.",
        of=_COSINE, method="dsg-emphasis", baseline="dsg-off", differs=("emphasis",),
        metric="pixel_correlation", lower=True,
    ),
    Claim(
        name="gzsq-fewer-bits",
        says="GZSQ's statistics calibrate better than none at activations of three bits, too.",
        of=f"W4A3: {_KL}", method="gzsq", baseline="gzsq-off", differs=("statistics_weight",),
        metric="kl_w4a3", lower=True, network=VGG,
    ),
    Claim(
        name="deep-inversion-class",
        says="With statistics, DeepInversion's classes are recognised by another network more often.",
        of=_SHARE, method="deep-inversion", baseline="deep-inversion-no-statistics",
        differs=("batchnorm_weight",), metric="other_share", lower=False,
    ),
    Claim(
        name="deep-inversion-smooth",
        says="Smoothness makes another network recognise DeepInversion's classes more often.",
        of=_SHARE, method="deep-inversion", baseline="deep-inversion-rough", differs=("tv_weight",),
        metric="other_share", lower=False,
    ),
    Claim(
        name="batchnorm", says="Taking BatchNorm statistics anew undoes part of what few bits shift.",
        of=f"W4A3, ZeroQ's images, corrected and not: {_KL}",
        method="zeroq", baseline="zeroq", differs=(), metric="kl_w4a3_replaced",
        baseline_metric="kl_w4a3", lower=True, titles=("corrected", "not corrected"),
    ),
    Claim(
        name="genie-pixels",
        says="GENIE's latents and generator calibrate the network better than pixels alone.",
        of=f"W4A4: {_KL}", method="genie", baseline="genie-pixels", differs=("optimise",),
        metric="kl_w4a4", lower=True,
    ),
    Claim(
        name="genie-generator",
        says="GENIE's latents and generator calibrate the network better than a generator alone.",
        of=f"W4A4: {_KL}", method="genie", baseline="genie-generator", differs=("optimise",),
        metric="kl_w4a4", lower=True,
    ),
    Claim(
        name="genie-swing", says="Images made with swing convolution calibrate the network better.",
        of=f"W4A4: {_KL}", method="genie", baseline="genie-no-swing", differs=("swing",),
        metric="kl_w4a4", lower=True,
    ),
    Claim(
        name="genie-swing-detail", says="Swing convolution leaves less of a checkerboard.",
        of="share of the images' power above 0.25 cycles a pixel",
        method="genie", baseline="genie-no-swing", differs=("swing",), metric="fine_share", lower=True,
    ),
    Claim(
        name="qimera-bits", says="Mixtures of classes make Qimera's images calibrate the network better.",
        of=f"W4A4: {_KL}", method="qimera", baseline="qimera-off", differs=("superposed",),
        metric="kl_w4a4", lower=True,
    ),
    Claim(
        name="clusterq-classes",
        says="Centroids set ClusterQ's classes further apart, to another network too.",
        of="scatter of the class centres of another network's features over the mean scatter within classes",
        method="clusterq", baseline="clusterq-off", differs=("centroid_weight",),
        metric="other_separation", lower=False,
    ),
)  # fmt: skip

# What can be measured on a network of another size too, at an affordable price.
_ALSO = (
    "dsg-pixels", "dsg-start", "dsg-spread", "intraq-class", "aac-peaks", "aac-logit", "aac-bits",
    "fdda-classes",
)  # fmt: skip
ON_CIFAR = tuple(replace(claim, network=CIFAR) for claim in CLAIMS if claim.name in _ALSO)
