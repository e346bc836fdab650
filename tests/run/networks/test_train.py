"""Training: every bundled network has its recipe, and the same seed gives the same network."""

import pytest
import torch
from torch import nn

from engine.models.cards.sources import discover_cards
from engine.run.training import train_super_resolution
from engine.run.training.train import RECIPES, TrainingRecipe, strided_depthwise_in_float32, train

FASHION = [name for name, card in discover_cards().items() if card.dataset == "Fashion-MNIST"]


def test_every_network_on_fashion_mnist_can_be_trained_by_name():
    assert sorted([*RECIPES, train_super_resolution.NAME]) == sorted(FASHION)


@pytest.mark.parametrize("name", FASHION)
def test_weights_are_small_enough_to_be_shipped(name):
    assert discover_cards()[name].weights().stat().st_size < 2_000_000


def trained(seed, elsewhere=0):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))
    rng = torch.Generator().manual_seed(1)
    y = torch.randint(0, 2, (256,), generator=rng)
    x = torch.randn(256, 1, 8, 8, generator=rng) + 2 * y[:, None, None, None]
    model(x)
    torch.manual_seed(elsewhere)  # what torch's own generator is at must not matter
    train(model, x, y, TrainingRecipe(epochs=2, max_lr=0.05), seed=seed, batch=32)
    return model.state_dict(), (model(x).argmax(1) == y).float().mean()


def test_learns_and_is_the_same_again_for_the_same_seed():
    (first, right), (again, _), (other, _) = trained(1), trained(1, elsewhere=5), trained(2)
    assert right > 0.9
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


def test_a_strided_depthwise_convolution_is_left_out_of_autocast():
    strided, plain = (nn.Conv2d(4, 4, 3, stride=s, padding=1, groups=4) for s in (2, 1))
    model, x = nn.Sequential(plain, strided), torch.randn(2, 4, 8, 8)
    names = list(model.state_dict())
    expected = model(x)
    strided_depthwise_in_float32(model)
    with torch.autocast("cpu", torch.bfloat16):
        assert plain(x).dtype == torch.bfloat16
        assert model(x).dtype == torch.float32
        assert torch.allclose(model(x), expected, atol=0.05)
    assert list(model.state_dict()) == names
