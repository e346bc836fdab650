"""Tiny networks by what they return: one value or several, scores, images, maps, embeddings."""

from collections import OrderedDict, namedtuple
from dataclasses import dataclass

from torch import Tensor, nn

from tests.contracts.nets import ready

SHAPE = (3, 8, 8)
Named = namedtuple("Named", "logits aux")


@dataclass
class Struct:
    hidden: tuple[Tensor, ...]
    logits: Tensor
    loss: Tensor | None = None


class Returning(nn.Module):
    """Two layers, a head for each place, a head behind the mean; `gives` makes the output of them."""

    def __init__(self, gives, classes: int = 4, planes: int = 3) -> None:
        super().__init__()
        self.gives = gives
        self.stem = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU()
        )
        self.body = nn.Sequential(
            nn.Conv2d(6, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU()
        )
        self.places = nn.Conv2d(6, planes, 1)
        self.fc = nn.Linear(6, classes)

    def forward(self, x: Tensor):
        return self.gives(self, x, self.body(self.stem(x)))


def scores(net, x, y):
    return net.fc(y.mean((2, 3)))


def places(net, x, y):
    return net.places(y)


def denoised(net, x, y):
    return x + net.places(y)


def build(gives, **more) -> nn.Module:
    return ready(Returning(gives, **more))


NETWORKS = {
    "logits": lambda: build(scores),
    "one-logit": lambda: build(scores, classes=1),
    "flat": lambda: build(lambda *all_of: scores(*all_of)[:, 0], classes=1),
    "map-of-one": lambda: build(lambda n, x, y: n.places(y.mean((2, 3), keepdim=True)), planes=1),
    "probability": lambda: build(lambda *all_of: scores(*all_of).sigmoid(), classes=1),
    "softmax": lambda: build(lambda *all_of: scores(*all_of).softmax(1)),
    "sigmoids": lambda: build(lambda *all_of: scores(*all_of).sigmoid()),
    "one-by-one": lambda: build(lambda n, x, y: n.places(y.mean((2, 3), keepdim=True)), planes=5),
    "denoiser": lambda: build(denoised),
    "depth": lambda: build(places, planes=1),
    "larger": lambda: build(lambda n, x, y: nn.functional.interpolate(n.places(y), scale_factor=2.0)),
    "segmentation": lambda: build(places, planes=5),
    "dictionary": lambda: build(
        lambda n, x, y: OrderedDict(aux=n.places(y), out=scores(n, x, y)), planes=5
    ),
    "lone-entry": lambda: build(lambda *all_of: {"anything": scores(*all_of), "loss": None}),
    "named-tuple": lambda: build(lambda n, x, y: Named(scores(n, x, y), y)),
    "data-class": lambda: build(lambda n, x, y: Struct((y, y), scores(n, x, y))),
    "nested": lambda: build(lambda *all_of: ({"logits": scores(*all_of)}, [])),
    "tuple": lambda: build(lambda n, x, y: (scores(n, x, y), y.mean((2, 3)))),
    "features": lambda: build(lambda n, x, y: y[:, :, ::2, ::2]),
    "whole-numbers": lambda: build(lambda *all_of: scores(*all_of).argmax(1)),
    "one-row": lambda: build(lambda *all_of: scores(*all_of).mean(0, keepdim=True)),
    "nothing": lambda: build(lambda *all_of: None),
    "sequence": lambda: build(lambda n, x, y: y.flatten(2)),
}  # fmt: skip
