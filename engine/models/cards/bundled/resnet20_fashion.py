"""ResNet-20 on Fashion-MNIST."""

from engine.models.architectures.resnet import SmallResNet
from engine.models.cards.fashion import fashion_card

CARD = fashion_card(
    name="resnet20-fashion",
    title="ResNet-20",
    summary="A small residual network that tells ten kinds of clothing apart; runs in seconds on a laptop.",
    paper="He et al., Deep Residual Learning for Image Recognition, CVPR 2016",
    build=lambda: SmallResNet(depth=20, in_channels=1, classes=10),
    top1=0.9436,
)
