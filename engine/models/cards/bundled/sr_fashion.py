"""A small EDSR that enlarges images of Fashion-MNIST to twice their size: no classes, no BatchNorm."""

from engine.models.architectures.edsr import SmallEDSR
from engine.models.card import LocalImages, ModelCard, bundled
from engine.models.cards.fashion import MEAN, SIDE, STD

CARD = ModelCard(
    name="sr-fashion",
    title="EDSR, small, twice the size · Fashion-MNIST",
    summary="Enlarges images of 14 pixels to 28: judged by PSNR, to the float network's and to the truth.",
    paper="Lim et al., Enhanced Deep Residual Networks for Single Image Super-Resolution, CVPRW 2017",
    licence="MIT (images: Zalando, MIT)",
    dataset="Fashion-MNIST",
    image_shape=(1, SIDE // 2, SIDE // 2),
    mean=(MEAN,),
    std=(STD,),
    resize=SIDE // 2,
    build=SmallEDSR,
    weights=lambda: bundled("sr-fashion/weights.safetensors"),
    output="image",
    test=LocalImages(
        images="fashion-mnist/t10k-images-idx3-ubyte.gz",
        labels="",
        name="Fashion-MNIST test, halved",
        halved=True,
    ),
    calibration=LocalImages(
        images="fashion-mnist/train1024-images-idx3-ubyte.gz",
        labels="",
        name="Fashion-MNIST train, first 1024, halved",
        halved=True,
    ),
)
