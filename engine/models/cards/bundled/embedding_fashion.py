"""An embedding of Fashion-MNIST, judged on kinds of clothing that it has never seen."""

from dataclasses import replace

from engine.models.architectures.resnet import SmallResNet
from engine.models.cards.fashion import fashion_card

HELD_OUT = (
    2,
    3,
    5,
    7,
)  # pullovers, dresses, sandals, sneakers: two pairs that are alike in some way
TRAINED = (0, 1, 4, 6, 8, 9)
WIDTH = 64  # numbers of an embedding

_CARD = fashion_card(
    name="embedding-fashion",
    title="Embedding, stand-in",
    summary="A direction for each image instead of scores of classes, trained with an angular margin on six "
    "kinds of clothing and judged on four others; a stand-in for face recognition, not a face benchmark.",
    paper="Deng et al., ArcFace: Additive Angular Margin Loss for Deep Face Recognition, CVPR 2019",
    build=lambda: SmallResNet(depth=14, in_channels=1, classes=WIDTH),
    top1=0.0,
)
assert _CARD.test is not None
assert _CARD.calibration is not None
CARD = replace(
    _CARD,
    classes=(),
    output="embedding",
    reported_top1=None,
    test=replace(
        _CARD.test, only=HELD_OUT, name="Fashion-MNIST test, four kinds that it never saw"
    ),
    calibration=replace(_CARD.calibration, only=TRAINED, name="Fashion-MNIST train, six kinds"),
)
