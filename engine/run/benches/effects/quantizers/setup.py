"""How a student that a claim compares is made, and the networks that most of them are of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

BINARY, TRANSFORMER, ENLARGING, VGG = "binary-fashion", "vit-fashion", "sr-fashion", "vgg-fashion"
PREACT, EMBEDDING, LITE = "preact-fashion", "embedding-fashion", "efficientnet-lite0"
RESNET, MOBILENET, REPVGG = "resnet20-fashion", "mobilenet-fashion", "repvgg-fashion"
IMAGES = 128  # that most students learn from
NO_IMAGES = "noise"  # of a claim about weights alone
WITHOUT_BATCHNORM: dict[str, Any] = {"synthesis": "gzsq"}  # no statistics to make images from
FUSED: dict[str, Any] = {
    "network": REPVGG,
    "network_settings": {"form": "fused"},
    **WITHOUT_BATCHNORM,
}
STRESSED = FUSED | {"network_settings": {"form": "fused-stress"}}  # the same function, rescaled


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How a student is made: a quantizer, its bits, and its settings where they differ from the preset's."""

    title: str
    quantization: str
    weight_bits: int
    activation_bits: int = 8  # 32: the settings' own bits leave every input float
    settings: Mapping[str, Any] = field(default_factory=dict)
    network: str = RESNET
    network_settings: Mapping[str, Any] = field(default_factory=dict)
    synthesis: str = "genie"  # what makes the images that it learns from
    images: int = IMAGES  # so many of them
    needs: str = ""  # whose images it is judged on, where none come with the network
    data: str = ""  # and their folder, once it is given
