"""Networks that are built otherwise: each is understood, walked through, and quantized at 8 bits."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.analysis.layers.errors import sqnr_db
from engine.core.errors import UserError
from engine.core.trace import count_hooks, watch_outputs
from engine.models.graph.blocks import find_blocks, is_layer, remarks
from engine.models.graph.rest_of_network import Rest
from engine.models.graph.walk import Walk, WalkPlan
from engine.quantization.plan import plan_bits
from engine.quantization.student import fit_block, make_student, quantizers
from tests.contracts.nets import ready
from tests.toys import ResidualToy


def conv(a, b, **options):
    return nn.Conv2d(a, b, 3, padding=options.get("dilation", 1), **options)


class Functional(nn.Module):
    """A residual written out in the root's forward, with functions for its activations."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.one, self.two = conv(3, 4), conv(4, 4), conv(4, 4)
        self.bn, self.head = nn.BatchNorm2d(4), nn.Linear(4, 3)

    def forward(self, x: Tensor, features: bool = False) -> Tensor:
        x = F.relu(self.bn(self.stem(x)))
        y = self.two(F.relu(self.one(x)))
        y += x
        x = F.relu(y)
        return x if features else self.head(x.mean((2, 3)))


class UNet(nn.Module):
    """A way down, a way up, shortcuts across, and back to the size of an image that 4 does not divide."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = self.four(1, 4), self.four(4, 6), self.four(6, 8)
        self.d, self.e = self.four(8 + 6, 6), self.four(6 + 4, 4)
        self.up = nn.ConvTranspose2d(8, 8, 2, stride=2)
        self.last = nn.Conv2d(4, 1, 1)

    @staticmethod
    def four(a, b):
        first = [conv(a, b), nn.BatchNorm2d(b), nn.ReLU(inplace=True), conv(b, b)]
        return nn.Sequential(*first, nn.ReLU(), conv(b, b), nn.ReLU(), conv(b, b))

    def forward(self, x: Tensor) -> Tensor:
        a = self.a(x)
        b = self.b(F.max_pool2d(a, 2))
        c = self.c(F.max_pool2d(b, 2))
        up = F.interpolate(self.up(c), size=b.shape[2:])
        d = self.d(torch.cat([up, b], 1))
        up = F.interpolate(d, size=a.shape[2:], mode="bilinear")
        return self.last(self.e(torch.cat([up, a], 1)))


class Repeated(nn.Module):
    """One convolution that runs twice, on inputs of very different size."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.again, self.head = conv(3, 4), conv(4, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.again(self.stem(x).relu()).relu()
        return self.head(self.again(10 * x).relu().mean((2, 3)))


class PreActivation(nn.Module):
    """BatchNorm and an activation in place before the convolution; BatchNorm behind an activation."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.bn, self.relu = conv(3, 4), nn.BatchNorm2d(4), nn.ReLU(inplace=True)
        self.body = Inner()
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(self.bn(self.relu(self.stem(x)))).mean((2, 3)))


class Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.relu, self.bn, self.conv = nn.ReLU(inplace=True), nn.BatchNorm2d(4), conv(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(x)  # the shortcut reads what this has changed
        return x + self.conv(self.bn(x))


class Heads(nn.Module):
    """An auxiliary head that only training runs, and pixels that are taken apart channel by channel."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.aux, self.head = conv(3, 4), nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.stack([x[:, 0] * 2, x[:, 1] + 1, x[:, 2]], 1)
        x = self.stem(x).relu().mean((2, 3))
        return self.head(x) + self.aux(x) if self.training else self.head(x)


class Hidden(nn.Module):
    """Python decides on values: its data flow cannot be seen."""

    def __init__(self) -> None:
        super().__init__()
        self.late, self.stem, self.never = nn.Linear(4, 3), conv(3, 4), nn.Linear(4, 3)
        self.mid = conv(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).relu()
        x = self.mid(x) + x if float(x.sum()) > -1 else self.never(x)
        return self.late(x.mean((2, 3)))


def kinds_of_convolution():
    return nn.Sequential(
        conv(1, 4), nn.ReLU(inplace=True), conv(4, 4, groups=4), conv(4, 8, groups=2, bias=False),
        nn.ReLU(), nn.BatchNorm2d(8), conv(8, 8, dilation=2), nn.Hardswish(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 1),
    )  # fmt: skip


NETWORKS = {
    "functional": (Functional, 3), "u-net": (UNet, 1), "repeated": (Repeated, 3),
    "pre-activation": (PreActivation, 3), "heads": (Heads, 3), "hidden": (Hidden, 3),
    "kinds": (kinds_of_convolution, 1),
}  # fmt: skip


def opened(name):
    build, channels = NETWORKS[name]
    model = ready(build())
    x = torch.randn(6, channels, 11, 11, generator=torch.Generator().manual_seed(0))
    return model, x, find_blocks(model, x.shape[1:])


def first_of(kept):
    """A listener that keeps the first output of each layer."""
    return lambda path, y: kept.setdefault(path, y.clone())


@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_walked_through_block_by_block(name):
    """Beside the network itself: what each block gives is what its layers gave in one ordinary pass."""
    model, x, blocks = opened(name)
    ran = {}
    layers = [path for path, module in model.named_modules() if is_layer(module)]
    with watch_outputs(model, layers, first_of(ran)):
        logits = model(x.clone())
    held = [path for block in blocks for path in block.layers]
    assert sorted(held) == sorted(ran)
    walk = Walk(model, plan := WalkPlan(model, blocks), x, chunk=4)
    for block in blocks:
        arrived = walk.to(block)
        before, seen = arrived.clone(), {}
        with watch_outputs(model, block.layers, first_of(seen)):
            out = block.run(model, arrived)
        assert torch.equal(arrived, before), "its input must stay as it is"
        torch.testing.assert_close(walk.through(block), out)
        torch.testing.assert_close(seen, {path: ran[path] for path in block.layers})
        index = torch.tensor([4, 1])
        torch.testing.assert_close(Rest(model, plan, block, x)(out[index], index), logits[index])
    assert count_hooks(model) == 0


@pytest.mark.parametrize("name", NETWORKS)
def test_it_loses_little_at_8_bits_and_every_grid_has_its_place_in_the_plan(name):
    model, x, blocks = opened(name)
    plan = plan_bits(blocks, weight_bits=8, activation_bits=8, edge_rule="all")
    student = make_student(model, blocks, plan)
    walk = Walk(student, WalkPlan(model, blocks), x, chunk=4)
    grids = 0
    for block in blocks:
        fit_block(student, block, walk.to(block))
        walk.through(block)
        inputs = [path for path, _ in quantizers(student, block) if path.endswith(".input")]
        grids += len(inputs)
        shared = {plan[path].block for path in block.layers if plan[path].by_block}
        own = {f"{path}.input" for path in block.layers if not plan[path].by_block}
        assert {*inputs} == own | {f"{name}.input" for name in shared}
    assert grids
    assert sqnr_db(model(x), student(x)) > 20


def names(name):
    return [block.name for block in opened(name)[2]]


def test_a_residual_without_a_module_is_one_block_with_the_activation_behind_it():
    _, _, blocks = opened("functional")
    assert [block.layers for block in blocks] == [("stem",), ("one", "two"), ("head",)]
    assert blocks[1].by_nodes
    assert not blocks[1].has_shortcut  # no module could quantize its input for all


def test_shortcuts_across_leave_modules_as_blocks():
    assert names("u-net") == ["a", "b", "c", "d", "e", "last"]
    said = remarks(*opened("u-net")[::2])
    assert len(said) == 1
    assert "up" in said[0]  # a transposed convolution stays float


def test_a_layer_that_runs_twice_is_held_once_with_both_its_runs():
    model, x, blocks = opened("repeated")
    assert [block.layers for block in blocks] == [("stem",), ("again",), ("head",)]
    plan = plan_bits(blocks, weight_bits=8, activation_bits=8, edge_rule="qdrop")
    student = make_student(model, blocks, plan)
    walk = Walk(student, WalkPlan(model, blocks), x, chunk=6)
    fit_block(student, blocks[0], walk.to(blocks[0]))
    walk.through(blocks[0])
    arrived = walk.to(blocks[1])
    fit_block(student, blocks[1], arrived)
    grid = student.again.input_quantizer
    second = 10 * model.again(arrived).relu()
    assert float(second.max()) > 3 * float(arrived.max())
    assert float(grid.scale) * grid.high > 0.9 * float(second.max()), (
        "the second run is not clipped"
    )


def test_a_block_whose_input_no_layer_reads_is_not_quantized_on_its_own():
    model = ready(ResidualToy())
    blocks = find_blocks(model)
    block = next(block for block in blocks if block.name == "block")
    assert (block.has_shortcut, block.readers) == (True, ())  # BatchNorm reads it, and the shortcut
    plan = plan_bits(blocks, weight_bits=4, activation_bits=4, edge_rule="brecq")
    student = make_student(model, blocks, plan)
    assert [p for p, _ in quantizers(student, block)] == ["block.conv.input", "block.conv.weight"]


def test_a_block_that_changes_its_input_in_place_says_so():
    _, _, blocks = opened("pre-activation")
    assert {block.name: block.spares_input for block in blocks}["body"] is False


def test_a_head_of_the_training_is_left_out_and_said():
    model, _, blocks = opened("heads")
    assert [block.layers for block in blocks] == [("stem",), ("head",)]
    assert "aux" in remarks(model, blocks)[0]


def test_hidden_data_flow_is_taken_apart_in_order_of_execution_and_said():
    model, _, blocks = opened("hidden")
    assert [block.name for block in blocks] == ["stem", "mid", "late"]
    said = " ".join(remarks(model, blocks))
    assert "Hidden cannot be traced" in said
    assert "never" in said
    with pytest.raises(UserError, match="cannot be traced"):
        find_blocks(model)


def test_a_network_without_layers_is_refused():
    with pytest.raises(UserError, match="no convolution or linear layer"):
        find_blocks(nn.Sequential(nn.ReLU(), nn.Flatten()))


def test_what_is_changed_in_place_is_read_by_all_that_come_after():
    class InPlace(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.head = conv(3, 4), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = self.stem(x)
            x.relu_()  # its result is not used
            return self.head(x.mean((2, 3)))

    model, x = ready(InPlace()), torch.randn(2, 3, 5, 5)
    blocks = find_blocks(model)
    assert [block.layers for block in blocks] == [("stem",), ("head",)]
    assert torch.equal(blocks[0].run(model, x), model.stem(x).relu())
