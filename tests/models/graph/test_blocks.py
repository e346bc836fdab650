"""Blocks are found from data flow: what belongs together is one, what is a chain is taken apart."""

import pytest
import torch
from torch import Tensor, nn

from engine.core.errors import UserError
from engine.models.architectures.resnet import BasicBlock
from engine.models.graph.blocks import find_blocks, remarks, unused_layers
from tests.toys import ResidualToy, TwoBlocks


def names(model):
    return [block.name for block in find_blocks(model)]


def only(model, name):
    (found,) = (block for block in find_blocks(model) if block.name == name)
    return found


def conv_bn_relu(a, b, stride=1):
    return nn.Sequential(nn.Conv2d(a, b, 3, stride, 1), nn.BatchNorm2d(b), nn.ReLU())


class Inverted(nn.Module):
    """A mobile block: residual where its sides fit, else a plain chain."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.wide = nn.Conv2d(a, 2 * a, 1)
        self.deep = nn.Conv2d(2 * a, 2 * a, 3, padding=1, groups=2 * a)
        self.thin = nn.Conv2d(2 * a, b, 1)
        self.fits = a == b

    def forward(self, x: Tensor) -> Tensor:
        y = self.thin(self.deep(self.wide(x)).relu())
        return x + y if self.fits else y


class SharedActivation(nn.Module):
    """One activation module, called behind both convolutions, as many networks write it."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 3)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.two(self.act(self.one(x))))


class Branches(nn.Module):
    """Two convolutions of one input, concatenated."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(4, 2, 1), nn.Conv2d(4, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.left(x), self.right(x)], 1)


def test_a_chain_is_taken_apart_into_its_layers():
    assert names(TwoBlocks()) == ["first.0", "second.0"]


def test_a_layer_takes_its_batchnorm_and_activation_along():
    block = only(TwoBlocks(), "first.0")
    assert block.paths == ("first.0", "first.1", "first.2")
    assert block.layers == block.readers == ("first.0",)
    assert not block.has_shortcut


@pytest.mark.parametrize(
    ("behind", "count"),
    [([nn.ReLU()], 2), ([nn.BatchNorm2d(4), nn.MaxPool2d(2)], 2), ([nn.MaxPool2d(2)], 1)],
)
def test_a_layer_takes_nothing_else_along(behind, count):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), *behind, nn.Conv2d(4, 4, 3))
    assert find_blocks(model)[0].paths == tuple(str(i) for i in range(count))


def test_where_what_is_behind_a_layer_is_read_twice_all_of_it_is_one_block():
    class Tapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bn, self.act = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            y = self.bn(self.conv(x))
            return self.act(y) * y

    blocks = find_blocks(nn.Sequential(Tapped(), nn.Conv2d(3, 2, 1)))
    assert [block.paths for block in blocks] == [("0",), ("1",)]
    assert not blocks[0].has_shortcut  # only the convolution reads its input


def test_a_residual_with_identity_reads_its_input_twice():
    model = nn.Sequential(conv_bn_relu(3, 4), BasicBlock(4, 4, 1))
    block = only(model, "1")
    assert block.paths == ("1",)
    assert block.layers == ("1.conv1", "1.conv2")
    assert block.readers == ("1.conv1",)
    assert block.has_shortcut


def test_a_residual_with_projection_has_two_layers_that_read_its_input():
    block = only(nn.Sequential(conv_bn_relu(3, 4), BasicBlock(4, 8, 2)), "1")
    assert sorted(block.layers) == ["1.conv1", "1.conv2", "1.shortcut.0"]
    assert sorted(block.readers) == ["1.conv1", "1.shortcut.0"]
    assert block.has_shortcut


def test_a_residual_whose_first_reader_is_no_layer():
    block = only(ResidualToy(), "block")
    assert (block.layers, block.readers) == (("block.conv",), ())
    assert block.has_shortcut
    assert names(ResidualToy()) == ["stem.0", "block", "head.2"]


def test_a_block_without_its_shortcut_is_treated_like_its_class():
    model = nn.Sequential(Inverted(4, 6), Inverted(6, 6), Inverted(6, 8), nn.Conv2d(8, 2, 1))
    blocks = find_blocks(model)
    assert [block.name for block in blocks] == ["0", "1", "2", "3"]
    assert [block.has_shortcut for block in blocks] == [False, True, False, False]
    assert blocks[0].layers == ("0.wide", "0.deep", "0.thin")
    assert blocks[0].readers == ("0.wide",)


def test_where_no_block_of_the_class_has_a_shortcut_it_is_a_chain():
    assert names(nn.Sequential(Inverted(4, 6), Inverted(6, 8))) == [
        "0.wide", "0.deep", "0.thin", "1.wide", "1.deep", "1.thin",
    ]  # fmt: skip


def test_branches_are_one_block():
    block = only(nn.Sequential(nn.Conv2d(3, 4, 1), Branches(), nn.Conv2d(5, 2, 1)), "1")
    assert sorted(block.layers) == sorted(block.readers) == ["1.left", "1.right"]
    assert block.has_shortcut


def test_an_activation_module_may_be_shared():
    blocks = find_blocks(SharedActivation())
    assert [block.paths for block in blocks] == [("one", "act"), ("two", "act")]


def test_blocks_come_in_order_of_execution_not_of_registration():
    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.late, self.early = nn.Linear(4, 2), nn.Linear(3, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.late(self.early(x))

    assert names(Backwards()) == ["early", "late"]


def test_a_layer_that_is_never_used_is_left_out_and_named():
    class Spare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.spare = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.used(x)

    model = Spare()
    blocks = find_blocks(model)
    assert [block.layers for block in blocks] == [("used",)]
    assert unused_layers(model, blocks) == ("spare",)
    (said,) = remarks(model, blocks)
    assert "spare" in said


def test_control_flow_on_values_is_refused_with_the_networks_name():
    class Undecided(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x) if x.sum() > 0 else x

    with pytest.raises(UserError, match="Undecided cannot be traced"):
        find_blocks(Undecided())
