"""ResNet-20 on Fashion-MNIST, trained by this project (engine/run/train.py)."""

from engine.models.card import LocalImages, ModelCard, bundled
from engine.models.resnet import SmallResNet

CARD = ModelCard(
    name="resnet20-fashion",
    title="ResNet-20 · Fashion-MNIST",
    summary="A small residual network that tells ten kinds of clothing apart; runs in seconds on a laptop.",
    paper="He et al., Deep Residual Learning for Image Recognition, CVPR 2016",
    licence="MIT (images: Zalando, MIT)",
    dataset="Fashion-MNIST",
    image_shape=(1, 28, 28),
    # of the 60,000 training images
    mean=(0.2860,),
    std=(0.3530,),
    resize=28,
    build=lambda: SmallResNet(depth=20, in_channels=1, classes=10),
    weights=lambda: bundled("resnet20-fashion/weights.safetensors"),
    classes=(
        "T-shirt",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    test=LocalImages(
        images="fashion-mnist/t10k-images-idx3-ubyte.gz",
        labels="fashion-mnist/t10k-labels-idx1-ubyte.gz",
        name="Fashion-MNIST test",
    ),
    calibration=LocalImages(
        images="fashion-mnist/train1024-images-idx3-ubyte.gz",
        labels="fashion-mnist/train1024-labels-idx1-ubyte.gz",
        name="Fashion-MNIST train, first 1024",
    ),
)
