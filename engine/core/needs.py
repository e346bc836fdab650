"""What a method needs of a network, in the words of `MethodCard.needs`, and why one cannot work on it.

Imports no torch: the page asks before it offers a method, a recipe before it is accepted, and a method
itself when it meets the network.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

Network = Mapping[str, Any]

NEEDS: dict[str, str] = {
    "batchnorm": "reads the statistics that BatchNorm layers keep",
    "convolutions": "reads what comes out of convolutions",
    "classes": "reads the scores of a classifier's classes",
    "real-images": "needs real images, with or without labels",
    "labelled-images": "needs real images with their labels",
}


def why_not(needs: Iterable[str], network: Network) -> str | None:
    """Why a method with these needs cannot work on the network: one sentence; None where it can.

    `network` is plain data, as in a catalog's entry: `batchnorm_layers`, `convolutions` and
    `classes` (how many; 0 classes: no classifier), `calibration_images` and `calibration_labels`
    (whether there are any).
    A fact that it does not state is taken to be there: it shows when the network is loaded.
    """
    for need in needs:
        if need not in NEEDS:
            raise KeyError(f"{need!r} is not a need; there are {', '.join(NEEDS)}")
        reason = _LACKS[need](network)
        if reason:
            return reason
    return None


def _no_batchnorm(network: Network) -> str | None:
    if network.get("batchnorm_layers", 1):
        return None
    return "it needs BatchNorm statistics, and this network has none"


def _no_convolutions(network: Network) -> str | None:
    if network.get("convolutions", 1):
        return None
    return "it needs convolutions, and this network has none"


def _no_classes(network: Network) -> str | None:
    if network.get("classes", 2) >= 2:
        return None
    return "it needs a classifier, and this network gives no scores of classes"


def _no_images(network: Network) -> str | None:
    if network.get("calibration_images", True):
        return None
    return "it needs real images, and this network brings none; set model.calibration to a folder"


def _no_labels(network: Network) -> str | None:
    if network.get("calibration_images", True) and network.get("calibration_labels", True):
        return None
    return (
        "it needs real images with labels, and this network brings none; "
        "set model.calibration to a folder of class folders"
    )


_LACKS: dict[str, Callable[[Network], str | None]] = {
    "batchnorm": _no_batchnorm,
    "convolutions": _no_convolutions,
    "classes": _no_classes,
    "real-images": _no_images,
    "labelled-images": _no_labels,
}
