"""ResNet-20 on Fashion-MNIST."""

from dataclasses import replace

from engine.models.architectures.resnet import SmallResNet
from engine.models.cards.fashion import fashion_card

# No worse here than the usual budget, see README, What is measured; a MobileNet takes all of that.
BUDGET = {
    "synthesis.genie.images": 64,
    "synthesis.genie.steps": 120,
    "quantization.quantoscope.steps": 100,
}
CARD = replace(
    fashion_card(
        name="resnet20-fashion",
        title="ResNet-20",
        summary="A small residual network that tells ten kinds of clothing apart; runs in seconds on a "
        "laptop.",
        paper="He et al., Deep Residual Learning for Image Recognition, CVPR 2016",
        build=lambda: SmallResNet(depth=20, in_channels=1, classes=10),
        top1=0.9436,
    ),
    presets={"quick": BUDGET},
)
