"""What all cards of networks on Fashion-MNIST share: the images, and how they are normalised."""

from collections.abc import Callable, Mapping

from torch import nn

from engine.models.card import LocalImages, ModelCard, bundled

CLASSES = (
    "T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
SIDE = 28  # pixels
MEAN, STD = 0.2860, 0.3530  # of the 60,000 training images, pixels in [0, 1]


def fashion_card(
    *,
    name: str,
    title: str,
    summary: str,
    paper: str,
    build: Callable[[], nn.Module],
    top1: float,
    forms: Mapping[str, Callable[[nn.Module], nn.Module]] | None = None,
    form_notes: Mapping[str, str] | None = None,
) -> ModelCard:
    """A card whose weights lie in assets/`name`, trained by this project (engine/run/training/train.py).

    `top1` is what the training measured on the 10,000 test images.
    """
    return ModelCard(
        name=name,
        title=f"{title} · Fashion-MNIST",
        summary=summary,
        paper=paper,
        licence="MIT (images: Zalando, MIT)",
        dataset="Fashion-MNIST",
        image_shape=(1, SIDE, SIDE),
        mean=(MEAN,),
        std=(STD,),
        resize=SIDE,
        build=build,
        weights=lambda: bundled(f"{name}/weights.safetensors"),
        classes=CLASSES,
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
        reported_top1=top1,
        forms=forms or {},
        form_notes=form_notes or {},
    )
