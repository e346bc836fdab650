"""A small MobileNetV2 on Fashion-MNIST."""

from engine.models.architectures.mobilenet import SmallMobileNet
from engine.models.cards.fashion import fashion_card

CARD = fashion_card(
    name="mobilenet-fashion",
    title="MobileNetV2, small",
    summary="Inverted residuals with depthwise convolutions: few weights, and channels of very unlike size.",
    paper="Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018",
    build=lambda: SmallMobileNet(in_channels=1, classes=10),
    top1=0.9206,
)
