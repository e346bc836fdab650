"""A network from the user's own Python file."""

import pytest
import torch

from engine.core.errors import UserError
from engine.models.cards.from_python_file import is_own, own_card

SOURCE = """
from torch import nn

def small():
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3))

def no_network():
    return 3

def bare():
    return nn.Linear(2, 2)
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    return path


def test_only_a_python_file_with_a_function_is_an_own_network():
    assert is_own("nets/mine.py:small")
    assert not is_own("resnet20-fashion")
    assert not is_own("mine.py")
    assert not is_own("mine.py:")


def test_what_is_set_wins_over_what_the_images_tell(file):
    told = own_card(f"{file}:small", {"image_size": (3, 28, 28)})
    assert told.image_shape == (1, 28, 28)
    assert told.mean == (0.5,)
    told = own_card(f"{file}:small", {"image_shape": [1.0, 8.0, 9.0], "mean": [0.1], "std": [0.2]})
    assert (told.image_shape, told.mean, told.std, told.resize) == ((1, 8, 9), (0.1,), (0.2,), 8)


def test_weights_may_be_the_factorys_own_or_a_file(file, tmp_path):
    card = own_card(f"{file}:bare", {"image_shape": [1, 4, 4]})
    assert not card.load().training
    weights = tmp_path / "weights.pth"
    torch.save({"weight": torch.eye(2), "bias": torch.zeros(2)}, weights)
    loaded = card.load(weights)
    torch.testing.assert_close(loaded.weight, torch.eye(2))


def test_what_it_gives_is_found_unless_it_is_said(file):
    shape = {"image_shape": [1, 8, 8]}
    assert own_card(f"{file}:small", shape).output == "auto"
    assert own_card(f"{file}:small", shape | {"output": "embedding"}).output == "embedding"


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("gone.py:small", {}, "is not there"),
        ("mine.py:big", {}, "has no function 'big'"),
        ("mine.py:no_network", {"image_shape": [1, 4]}, "channels,height,width"),
        ("mine.py:no_network", {}, "returned int"),
        ("mine.py:bare", {}, r"of what size nothing tells; give --set model.image_shape="),
    ],
)
def test_every_mistake_says_what_is_wrong(file, name, settings, words):
    with pytest.raises(UserError, match=words):
        own_card(str(file.parent / name), settings)


def test_a_file_that_cannot_be_executed_is_a_mistake_and_not_a_crash(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("import nothing_of_this_name")
    with pytest.raises(UserError, match="cannot be executed"):
        own_card(f"{path}:net", {})
