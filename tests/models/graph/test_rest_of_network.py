"""The rest of a network behind a block is the same network: same logits, same gradients."""

import pytest
import torch
from torch import Tensor, nn

from engine.models.graph.blocks import find_blocks
from engine.models.graph.rest_of_network import Rest
from engine.models.graph.walk import Walk, WalkPlan
from tests.contracts.nets import TinyResNet, images, ready


class PastTheBlocks(nn.Module):
    """Its head reads a size of the image, past the layer between them; the layer is doubled in place."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        count = x.size(0)
        return self.head(self.stem(x).mul_(2).mean((2, 3)).view(count, -1))


def rests(model, x):
    blocks = find_blocks(model)
    plan = WalkPlan(model, blocks)
    walk = Walk(model, plan, x, 3)
    for block in blocks:
        yield block, walk.through(block), Rest(model, plan, block, x)


@pytest.mark.parametrize("network", [TinyResNet, PastTheBlocks])
def test_from_every_block_on_the_logits_are_the_networks(network):
    model, x = ready(network()), images(7)
    index = torch.tensor([4, 1, 1, 6])
    for _, y, rest in rests(model, x):
        assert torch.allclose(rest(y[index], index), model(x)[index], atol=1e-5)


def test_gradients_pass_and_the_output_given_stays_as_it_was():
    model, x = ready(PastTheBlocks()), images(4)
    (_, y, rest), *_ = rests(model, x)
    before = y.clone()
    y = (y - 1.0).requires_grad_()
    rest(y, torch.arange(4)).sum().backward()
    assert y.grad is not None
    assert float(y.grad.abs().sum()) > 0
    assert torch.equal(y.detach(), before - 1.0)
