"""A small VGG with BatchNorm and hardtanh on Fashion-MNIST: what weights of one bit are tried on."""

from engine.models.architectures.binary import BinaryVGG
from engine.models.cards.fashion import SIDE, fashion_card

CARD = fashion_card(
    name="binary-fashion",
    title="VGG, small, with hardtanh",
    summary="Activations around 0 between -1 and 1: the test bed for weights of one bit.",
    paper="Qin et al., Forward and Backward Information Retention, CVPR 2020 (its VGG-small, narrower)",
    build=lambda: BinaryVGG(in_channels=1, classes=10, side=SIDE),
    top1=0.9170,
)
