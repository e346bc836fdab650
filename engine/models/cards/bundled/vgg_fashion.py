"""A small VGG without BatchNorm on Fashion-MNIST."""

from engine.models.architectures.vgg import SmallVGG
from engine.models.cards.fashion import SIDE, fashion_card

CARD = fashion_card(
    name="vgg-fashion",
    title="VGG, small, without BatchNorm",
    summary="A plain chain of convolutions with bias: no BatchNorm, so no statistics to make images from.",
    paper="Simonyan and Zisserman, Very Deep Convolutional Networks, ICLR 2015",
    build=lambda: SmallVGG(in_channels=1, classes=10, side=SIDE),
    top1=0.9155,
)
