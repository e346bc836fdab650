"""A small ResNet with pre-activation on Fashion-MNIST."""

from engine.models.architectures.preact import SmallPreActResNet
from engine.models.cards.fashion import fashion_card

CARD = fashion_card(
    name="preact-fashion",
    title="Pre-activation ResNet, small",
    summary="BatchNorm and ReLU before each convolution: no BatchNorm that could be folded away.",
    paper="He et al., Identity Mappings in Deep Residual Networks, ECCV 2016",
    build=lambda: SmallPreActResNet(blocks=(1, 2, 2), in_channels=1, classes=10),
    top1=0.9277,
)
