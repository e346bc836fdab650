"""A small vision transformer on Fashion-MNIST."""

from engine.models.architectures.vit import SmallViT
from engine.models.cards.fashion import SIDE, fashion_card

CARD = fashion_card(
    name="vit-fashion",
    title="Vision transformer, small",
    summary="49 patches that look at each other in four blocks: LayerNorm and GELU, no BatchNorm.",
    paper="Dosovitskiy et al., An Image Is Worth 16x16 Words, ICLR 2021",
    build=lambda: SmallViT(in_channels=1, classes=10, side=SIDE),
    top1=0.8548,
)
