"""Networks of every kind that people bring: each is built and probed, or refused in one line."""

import pytest
import torch

from engine.core.errors import UserError
from engine.models.cards.from_python_file import own_card
from engine.models.graph.blocks import find_blocks, remarks
from engine.models.probing.probe import load_probed
from engine.run.context import _warnings
from tests.models.probing.odd_networks import SHAPE
from tests.models.probing.odder_networks import EVERY, place

pytestmark = pytest.mark.extended  # a hundred and more networks


def right(name):
    """(what is right, words that the user is told)."""
    kind, _, words = (EVERY[name].__doc__ or "").partition(":")
    return kind, words.strip()


def probed(name):
    """What a run and a diagnosis do with it before the first step; and all that is said."""
    card = own_card(place(name), {"image_shape": SHAPE})
    found = load_probed(card)
    blocks = find_blocks(found.model, SHAPE)
    said = [*found.notes, *remarks(found.model, blocks), *_warnings(found.model), found.no_gradient]
    return found, " ".join(said)


@pytest.mark.parametrize("name", EVERY)
def test_is_probed_or_refused_in_one_line(name):
    kind, words = right(name)
    if kind == "refused":
        with pytest.raises(UserError) as refused:
            probed(name)
        assert words in str(refused.value)
        assert "\n" not in str(refused.value)
        return
    found, said = probed(name)
    if kind == "runs, noted":
        assert words in said
    elif kind == "runs":
        assert "gradient" not in said
    model = found.model
    images = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(1))
    before = images.clone()
    with torch.no_grad():
        model(images)
    assert torch.equal(images, before)
    assert not model.training
    assert all(p.dtype == torch.float32 for p in model.parameters() if p.is_floating_point())


def test_there_are_many_of_them():
    assert len(EVERY) >= 120
