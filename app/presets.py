"""The cards of the start page: runs worth a click, each with the question it answers."""

from dataclasses import dataclass, field
from typing import Any

USUAL = {"model": "resnet20-fashion", "synthesis": "genie", "quantization": "quantoscope"}
SOURCES = (USUAL["synthesis"], "gzsq", "noise")  # of images, the first that can work on a network


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A run to start by one click; `wanted` is what make_recipe takes."""

    name: str
    title: str
    text: str
    wanted: dict[str, Any] = field(default_factory=dict)
    tab: str = ""  # of the run's page, where its point is not what is shown first


def _wanted(model: str, synthesis: str, quantization: str, bits: tuple[int, int]) -> dict[str, Any]:
    return {
        "preset": "quick",
        "model": model,
        "synthesis": synthesis,
        "quantization": quantization,
        "weight_bits": bits[0],
        "activation_bits": bits[1],
        "images": None,
    }


# Images that a person recognises: each of a class, large shapes first, mirrored half of the time.
CLOTHING = {
    "batch": 64, "steps": 600, "coarse": 0.35, "flip": True, "jitter": 2, "clamp": True,
    "tv_weight": 3e-3, "batchnorm_weight": 4.0,
}  # fmt: skip

CARDS = [
    Preset(
        name="clothing",
        title="Noise becomes clothing",
        text="Dreams of each class, then 2 bits a weight, with learned rounding.",
        wanted=_wanted("resnet20-fashion", "deep-inversion", USUAL["quantization"], (2, 4))
        | {"images": 64, "synthesis_settings": CLOTHING},
    ),
    Preset(
        name="resnet20-4",
        title="ResNet-20 at 4 bits",
        text="A seventh of the size, no data. How much is lost?",
        wanted=_wanted("resnet20-fashion", "genie", USUAL["quantization"], (4, 4)),
    ),
    Preset(
        name="nearest-2",
        title="See it break",
        text="2 bits a weight again, each now rounded to the nearest.",
        tab="layers",
        wanted=_wanted("resnet20-fashion", "genie", "nearest", (2, 4)),
    ),
    Preset(
        name="noise-4",
        title="Control: noise",
        text="Calibrated with noise instead of images. Do images matter?",
        wanted=_wanted("resnet20-fashion", "noise", USUAL["quantization"], (4, 4)),
    ),
    Preset(
        name="efficientnet-4",
        title="EfficientNet-Lite0, W4A8",
        text="A real ImageNet network with depthwise layers. Takes longer.",
        wanted=_wanted("efficientnet-lite0", "genie", USUAL["quantization"], (4, 8)),
    ),
]
