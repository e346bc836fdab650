"""Modules that run several times in one pass, and parameters that several modules share."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.models.graph.blocks import find_blocks
from engine.models.graph.walk import Walk, WalkPlan
from engine.quantization import discover_methods
from engine.quantization.plan import plan_bits
from engine.quantization.student import fit_block, make_student, restore_block, stored_block
from engine.quantization.transforms.equalisation import equalised, find_pairs
from tests.contracts.nets import images, ready
from tests.quantization.transforms.test_corrections import spread


class Parts(nn.Module):
    """Layers of one width, of which the networks below run some more than once."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU())
        self.a, self.b, self.c = (nn.Conv2d(6, 6, 3, padding=1, bias=False) for _ in range(3))
        self.bn = nn.BatchNorm2d(6)
        self.linear = nn.Linear(6, 6)
        self.head = nn.Linear(6, 3)


# --- equalisation: what is read twice cannot be scaled for one of its readers --------------------


class SharedNorm(Parts):
    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn(self.a(self.stem(x))))
        x = torch.relu(self.bn(self.b(x)))
        return self.head(self.c(x).mean((2, 3)))


class NormOfBranches(Parts):
    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.bn(self.a(x)).relu() + self.bn(x)
        return self.head(self.b(x).mean((2, 3)))


class TiedWeights(Parts):
    def __init__(self) -> None:
        super().__init__()
        self.b.weight = self.c.weight

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.b(torch.relu(self.a(self.stem(x)))))
        return self.head(torch.relu(self.c(torch.sigmoid(x))).mean((2, 3)))


class ReadByName(Parts):
    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = torch.relu(self.b(torch.relu(self.a(x)))) + F.conv2d(x, self.a.weight, padding=1)
        return self.head(x.mean((2, 3)))


@torch.no_grad()
@pytest.mark.parametrize("net", [SharedNorm, NormOfBranches, TiedWeights, ReadByName])
def test_equalisation_keeps_the_function_where_parameters_are_shared(net):
    teacher = spread(ready(net()))
    x = images(4, seed=5)
    wanted = teacher(x)
    other, _ = equalised(teacher)
    assert float((other(x) - wanted).norm() / wanted.norm()) < 1e-3


def test_a_norm_that_keeps_no_statistics_ends_a_pair():
    teacher = ready(SharedNorm())
    teacher.bn = nn.BatchNorm2d(6, track_running_stats=False)
    assert [(pair.writer, pair.reader) for pair in find_pairs(teacher)] == [("stem.0", "a")]


def test_what_is_not_shared_is_equalised_all_the_same():
    pairs = find_pairs(ready(TiedWeights()))
    assert [(pair.writer, pair.reader) for pair in pairs] == [("stem.0", "a")]


# --- borders of a layer's input: as many as it has channels, however often it runs ---------------


class Thrice(Parts):
    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for _ in range(3):
            x = self.a(x).relu()
        return self.head(x.mean((2, 3)))


class OfThreeSizes(Parts):
    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        large = self.a(x).relu()
        middle = self.a(F.max_pool2d(large, 2)).relu()
        small = self.a(F.max_pool2d(middle, 2)).relu()
        return self.head(large.mean((2, 3)) + middle.mean((2, 3)) + small.mean((2, 3)))


class OfTokens(Parts):
    def forward(self, x: Tensor) -> Tensor:
        tokens = self.linear(self.stem(x).flatten(2).transpose(1, 2)).relu()
        few = self.linear(tokens[:, :10]).relu()
        return self.head(few.mean(1) + self.linear(tokens).mean(1))


class ChannelsLast(Parts):
    def forward(self, x: Tensor) -> Tensor:
        pixels = self.linear(self.stem(x).permute(0, 2, 3, 1)).relu()
        return self.head(self.linear(pixels[:, :5]).relu().mean((1, 2)))


@pytest.mark.parametrize("net", [Thrice, OfThreeSizes, OfTokens, ChannelsLast])
def test_aquant_learns_on_layers_that_run_several_times(net):
    teacher, x = ready(net()), images(8)
    blocks = find_blocks(teacher, (3, 8, 8))
    plan = plan_bits(blocks, weight_bits=4, activation_bits=3, edge_rule="all")
    method = discover_methods()["aquant"]
    learner = method(method.Settings(steps=2))
    student = make_student(teacher, blocks, plan, learner.makers())
    seen = WalkPlan(teacher, blocks)
    walks = Walk(teacher, seen, x, 8), Walk(student, seen, x, 8)
    for block in blocks:
        x_teacher, x_student = (walk.to(block) for walk in walks)
        fit_block(student, block, x_student)
        machine = learner.reconstruct(
            student, block, x_teacher=x_teacher, x_student=x_student,
            y_teacher=block.run(teacher, x_teacher), rng=torch.Generator().manual_seed(0),
        )  # fmt: skip
        assert machine is not None
        for _ in range(machine.total_steps):
            machine.step()
        learner.finish(student, block)
        before, kept = student(x), stored_block(student, block)
        restore_block(student, block, kept)
        assert torch.equal(student(x), before)
        for walk in walks:
            walk.through(block)
    repeated = student.get_submodule("linear" if net in (OfTokens, ChannelsLast) else "a")
    assert repeated.input_quantizer.border.shape == (3, 6)
