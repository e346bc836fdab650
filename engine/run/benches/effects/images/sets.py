"""The sets of images that claims are measured on, as plain data: a method, and what is set otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSet:
    """How a set of images is made: a method, and its settings where they differ from the budget's."""

    title: str
    method: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    batches: int = 1  # that the images are made in
    generator: bool = False  # one generator is trained, then draws them all


SETS: Mapping[str, ImageSet] = {
    "noise": ImageSet(title="Noise", method="noise"),
    "zeroq": ImageSet(title="ZeroQ", method="zeroq"),
    "zeroq-gaussian": ImageSet(
        title="ZeroQ from noise", method="zeroq", settings={"start": "gaussian"}
    ),
    "dsg": ImageSet(title="DSG", method="dsg"),
    "dsg-emphasis": ImageSet(title="Layer emphasis alone", method="dsg", settings={"slack": 0.0}),
    "dsg-off": ImageSet(  # ZeroQ's images from DSG's start, to the last bit
        title="DSG, its parts off", method="dsg", settings={"slack": 0.0, "emphasis": False}
    ),
    # Both as they are stored: a crop behind the synthesis would be a second difference.
    "intraq": ImageSet(title="IntraQ", method="intraq", settings={"handed": "plain"}, batches=2),
    "intraq-off": ImageSet(
        title="IntraQ, its parts off",
        method="intraq",
        settings={"handed": "plain", "crop": 0.0, "least_share": 1.0, "margin_weight": 0.0},
        batches=2,
    ),
    "fdda": ImageSet(title="FDDA", method="fdda", generator=True),
    "fdda-off": ImageSet(
        title="FDDA without centres",
        method="fdda",
        settings={"central_weight": 0.0, "blurred_weight": 0.0},
        generator=True,
    ),
    "qimera": ImageSet(title="Qimera", method="qimera", generator=True),
    "qimera-off": ImageSet(
        title="Qimera without mixtures",
        method="qimera",
        settings={"superposed": 0.0},
        generator=True,
    ),
    "clusterq": ImageSet(title="ClusterQ", method="clusterq", generator=True),
    "clusterq-off": ImageSet(
        title="ClusterQ without centroids",
        method="clusterq",
        settings={"centroid_weight": 0.0},
        generator=True,
    ),
    "gzsq": ImageSet(title="GZSQ, moment form", method="gzsq"),
    "gzsq-off": ImageSet(
        title="GZSQ without statistics", method="gzsq", settings={"statistics_weight": 0.0}
    ),
    "aac": ImageSet(title="AAC (inspired by)", method="aac"),
    "aac-no-logit": ImageSet(
        title="AAC without the logit", method="aac", settings={"logit_weight": 0.0}
    ),
    "aac-statistics": ImageSet(
        title="AAC, statistics alone",
        method="aac",
        settings={"class_weight": 0.0, "logit_weight": 0.0},
    ),
    "deep-inversion": ImageSet(title="DeepInversion", method="deep-inversion"),
    "deep-inversion-no-statistics": ImageSet(
        title="Class without statistics",
        method="deep-inversion",
        settings={"batchnorm_weight": 0.0},
    ),
    "deep-inversion-rough": ImageSet(
        title="Without total variation", method="deep-inversion", settings={"tv_weight": 0.0}
    ),
    "genie": ImageSet(title="GENIE-D", method="genie"),
    "genie-no-swing": ImageSet(
        title="GENIE-D without swing", method="genie", settings={"swing": False}
    ),
    "genie-generator": ImageSet(
        title="Generator alone", method="genie", settings={"optimise": "generator"}
    ),
    "genie-pixels": ImageSet(title="Pixels alone", method="genie", settings={"optimise": "pixels"}),
}
