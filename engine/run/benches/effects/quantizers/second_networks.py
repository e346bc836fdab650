"""On which second networks the claims of quantizers are measured too, as plain data: a line each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.run.benches.effects.quantizers.setup import (
    BINARY,
    EMBEDDING,
    ENLARGING,
    FUSED,
    IMAGES,
    LITE,
    MOBILENET,
    PREACT,
    REPVGG,
    TRANSFORMER,
    VGG,
    WITHOUT_BATCHNORM,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A network for claims that were made for another: what a setup has in place of its own."""

    network: str
    words: str  # at the end of a claim's sentence
    network_settings: Mapping[str, Any] = field(default_factory=dict)
    synthesis: str = "genie"
    images: int = IMAGES
    needs: str = ""

    def setup(self) -> dict[str, Any]:
        """The fields of a setup that it replaces."""
        names = ("network", "network_settings", "synthesis", "images", "needs")
        return {name: getattr(self, name) for name in names}


PLACES: Mapping[str, Place] = {  # by what a claim's name ends with there
    "repvgg": Place(network=REPVGG, words="in RepVGG as it is trained"),
    "repvgg-fused": Place(words="in RepVGG once it is fused", **FUSED),
    "mobilenet": Place(network=MOBILENET, words="in MobileNetV2"),
    "vit": Place(network=TRANSFORMER, words="in a vision transformer", **WITHOUT_BATCHNORM),
    "vgg": Place(network=VGG, words="in VGG", **WITHOUT_BATCHNORM),
    "preact": Place(network=PREACT, words="in a pre-activation ResNet"),
    "binary": Place(network=BINARY, words="in a VGG with hardtanh"),
    "embedding": Place(network=EMBEDDING, words="in an embedding"),
    "sr": Place(network=ENLARGING, words="in a network that enlarges images", **WITHOUT_BATCHNORM),
    "lite": Place(network=LITE, words="in EfficientNet-Lite0", images=16, needs="ImageNet"),
}

_ALL_OTHERS = ("mobilenet", "repvgg", "preact", "vgg", "vit", "binary", "embedding", "sr", "lite")

ON_SECOND: Mapping[str, tuple[str, ...]] = {  # a claim, and where else it is measured
    "vertical": ("repvgg", "repvgg-fused", "lite"),
    "vertical-w2": ("repvgg", "repvgg-fused"),
    "vertical-w3": ("repvgg", "repvgg-fused", "lite"),
    "vertical-w6": ("repvgg", "repvgg-fused"),
    "vertical-w8": ("repvgg", "repvgg-fused", "lite"),
    "gradient-l1": ("mobilenet",),
    "std-based": ("vgg",),
    "std-pruning": ("vgg",),
    "factorization": ("vgg",),
    "factorization-bytes": ("vgg",),
    "factorization-tucker": ("vgg",),
    "storage": _ALL_OTHERS,
    "storage-sparse": _ALL_OTHERS,
    "similarity": ("repvgg", "vgg"),
}
