"""An architecture is told from a checkpoint's names and shapes, and built to its measures."""

from pathlib import Path

import pytest
import torch

from engine.core.errors import UserError
from engine.models.architectures.resnet import SmallResNet, ZeroPaddedShortcut
from engine.models.cards.from_architecture import architecture_card, guess
from engine.models.cards.proposals import CIFAR10, propose
from engine.models.cards.sources import discover_cards
from engine.models.checkpoints.fit import fill
from engine.models.checkpoints.outline import outline
from engine.models.checkpoints.read import Checkpoint
from engine.models.graph.blocks import find_blocks


@pytest.fixture(autouse=True)
def _small_zoo(monkeypatch):
    """The bundled networks alone: torchvision's eighty take seconds to outline."""
    monkeypatch.setattr("engine.models.cards.from_architecture.all_cards", discover_cards)


def checkpoint(model, rename=lambda name: name):
    """What a file of this network holds; shapes are enough to guess."""
    state = {rename(k): v for k, v in model.state_dict().items() if "num_batches" not in k}
    return Checkpoint(path=Path("w.pth"), form="test", tensors=state)


def test_shortcut_without_parameters_takes_every_second_pixel_between_zeros():
    x = torch.randn(2, 3, 5, 4)
    y = ZeroPaddedShortcut(3, 7, 2)(x)
    assert y.shape == (2, 7, 3, 2)
    for n in range(2):
        for channel in range(7):
            for row in range(3):
                for column in range(2):
                    inside = 2 <= channel < 5
                    wanted = x[n, channel - 2, 2 * row, 2 * column] if inside else 0.0
                    assert y[n, channel, row, column] == wanted


def test_option_a_has_no_parameters_in_its_shortcuts_and_its_blocks_are_found():
    model = SmallResNet(8, 3, 10, "A")
    assert not any("shortcut" in name for name in model.state_dict())
    names = [block.name for block in find_blocks(model)]
    assert names == ["conv1", "layer1.0", "layer2.0", "layer3.0", "fc"]
    assert sum("shortcut" in name for name in SmallResNet(8, 3, 10, "B").state_dict()) == 12


@pytest.mark.parametrize(("depth", "channels", "classes", "shortcut"),
                         [(20, 3, 10, "A"), (56, 3, 100, "A"), (32, 1, 7, "B")])  # fmt: skip
def test_the_members_of_the_cifar_family_are_told_apart(depth, channels, classes, shortcut):
    model = outline(lambda: SmallResNet(depth, channels, classes, shortcut))
    found = guess(checkpoint(model, lambda name: name.replace("fc.", "linear.")))
    assert found[0].architecture == "cifar-resnet"
    assert found[0].parameters == {
        "depth": depth, "in_channels": channels, "classes": classes, "shortcut": shortcut,
    }  # fmt: skip
    tensors = len([k for k in model.state_dict() if "num_batches" not in k])
    assert found[0].words == f"{tensors} of {tensors} tensors fit"


def test_a_network_of_the_zoo_with_other_classes_and_channels_is_measured():
    wanted = {"classes": 7, "in_channels": 1}
    model = outline(architecture_card("efficientnet-lite0", wanted).build)
    best = guess(checkpoint(model))[0]
    assert (best.architecture, best.parameters, best.fit.whole) == (
        "efficientnet-lite0",
        wanted,
        True,
    )
    assert architecture_card("efficientnet-lite0", wanted).image_shape == (1, 224, 224)


def test_a_bundled_checkpoint_computes_the_same_in_the_guessed_architecture():
    source = SmallResNet(8, 1, 5, "A").eval()
    found = checkpoint(source, lambda name: f"net.{name}")
    model = architecture_card("cifar-resnet", {
        "depth": 8, "in_channels": 1, "classes": 5, "shortcut": "A"}).build().eval()  # fmt: skip
    assert fill(model, found, "it") == ("prefix 'net.' taken off",)
    x = torch.randn(2, 1, 32, 32)
    assert torch.equal(model(x), source(x))


def test_another_number_of_classes_is_named_by_whatever_name_the_head_has():
    source = checkpoint(SmallResNet(8, 3, 10, "A"), lambda name: name.replace("fc.", "linear."))
    wanted = architecture_card("cifar-resnet", {"depth": 8, "classes": 100, "shortcut": "A"})
    with pytest.raises(UserError, match="has 10 classes in the file, 100 in the network"):
        fill(wanted.build(), source, "it")


def test_what_fits_nothing_is_guessed_to_be_nothing():
    assert guess(Checkpoint(path=Path("w"), form="", tensors={"a": torch.ones(3)})) == []


@pytest.mark.parametrize(("name", "parameters", "said"), [
    ("cifar-resnet", {"depth": 21}, "depth 21 is not 6n"),
    ("cifar-resnet", {"depth": 10**6 * 6 + 2}, "whole number from 8"),
    ("cifar-resnet", {"shortcut": "C"}, "choose A"),
    ("cifar-resnet", {"width": 3}, "no parameter"),
    ("resnet20-fashion", {"classes": 10**9}, "whole number from 2"),
    ("resnet20-fashion", {"depth": 20}, "no parameter"),
    ("mine/other", {}, "not known"),
    ("file.py:make", {}, "not known"),
])  # fmt: skip
def test_impossible_architectures_are_refused(name, parameters, said):
    with pytest.raises(UserError, match=said):
        architecture_card(name, parameters)


def test_the_form_of_the_well_known_cifar_files_is_filled_in_and_said_to_be_a_guess():
    model = outline(lambda: SmallResNet(20, 3, 10, "A"))
    found = checkpoint(model, lambda name: name.replace("fc.", "linear."))
    proposal = propose(found, guess(found)[0])
    assert (proposal.dataset, proposal.image_shape, proposal.classes) == (
        "CIFAR-10",
        (3, 32, 32),
        CIFAR10,
    )
    assert proposal.mean == (0.485, 0.456, 0.406)
    assert "probably CIFAR-10" in proposal.reasons[0]
    assert propose(checkpoint(model), guess(checkpoint(model))[0]).mean == (0.4914, 0.4822, 0.4465)
