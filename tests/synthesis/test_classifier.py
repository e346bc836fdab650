"""Finding the layer that names the classes."""

import torch
from torch import Tensor, nn

from engine.synthesis.classifier import classifier_rows
from tests.contracts.nets import TinyResNet, ready


class AsConvolution(nn.Module):
    """Classifies with a 1x1 convolution, as SqueezeNet does; an unused linear layer stands last."""

    def __init__(self) -> None:
        super().__init__()
        self.name = nn.Conv2d(3, 5, 1)
        self.unused = nn.Linear(2, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.name(x).mean((2, 3))


class AuxiliaryFirst(nn.Module):
    """Has a head on the way with as many classes: the one that runs last is meant."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(3, 4)
        self.early = nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        self.early(x.mean((2, 3)))
        return self.last(x.mean((2, 3)))


class Picture(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


def test_the_classifier_is_the_last_layer_to_run_with_an_output_per_class():
    teacher = ready(TinyResNet())
    assert torch.equal(classifier_rows(teacher, (3, 8, 8)), teacher.head[2].weight)
    net = AuxiliaryFirst().eval()
    assert torch.equal(classifier_rows(net, (3, 8, 8)), net.last.weight)


def test_a_convolution_may_be_the_classifier():
    net = AsConvolution().eval()
    assert torch.equal(classifier_rows(net, (3, 8, 8)), net.name.weight[:, :, 0, 0])


def test_a_network_that_answers_with_pictures_has_none():
    assert classifier_rows(Picture().eval(), (3, 8, 8)) is None


def test_the_rows_are_a_copy():
    teacher = ready(TinyResNet())
    rows = classifier_rows(teacher, (3, 8, 8))
    kept = teacher.head[2].weight.clone()
    rows.zero_()
    assert torch.equal(teacher.head[2].weight, kept)
