"""A small RepVGG on Fashion-MNIST, as it was trained or fused into plain convolutions."""

from engine.models.architectures.repvgg import SmallRepVGG, fuse
from engine.models.architectures.repvgg_stress import NOTE, stress
from engine.models.cards.fashion import fashion_card

CARD = fashion_card(
    name="repvgg-fashion",
    title="RepVGG, small",
    summary="Trained with three branches a block; fused, the same function is a chain without BatchNorm.",
    paper="Ding et al., RepVGG: Making VGG-style ConvNets Great Again, CVPR 2021",
    build=lambda: SmallRepVGG(in_channels=1, classes=10),
    top1=0.9249,
    forms={"branches": lambda model: model, "fused": fuse, "fused-stress": stress},
    form_notes={"fused-stress": NOTE},
)
