"""Networks of timm, an optional extra: read from its configuration, here from one of the same form."""

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import nn

from engine.core.errors import UserError
from engine.models.cards import from_timm as timm_cards
from engine.models.zoo import find_card


@pytest.fixture
def timm(monkeypatch, tmp_path):
    """A module with timm's functions, of one network; an empty cache."""
    module = ModuleType("timm")
    module.config = SimpleNamespace(
        input_size=(3, 24, 24), mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2), crop_pct=0.95,
        interpolation="bilinear", num_classes=7, license="mit", url="https://example.org/tiny-12345678.pth",
        hf_hub_id=None,
    )  # fmt: skip
    module.is_model = lambda name: name == "tiny"
    module.get_pretrained_cfg = lambda name: module.config
    module.create_model = lambda name, pretrained: nn.Sequential(nn.Conv2d(3, 7, 24), nn.Flatten())
    monkeypatch.setitem(sys.modules, "timm", module)
    known = {"timm": object()}
    monkeypatch.setattr(timm_cards, "find_spec", known.get)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    return module


def test_a_card_is_read_from_timms_configuration(timm):
    card = find_card("timm/tiny", {})
    assert (card.image_shape, card.mean, card.std) == ((3, 24, 24), (0.5,) * 3, (0.2,) * 3)
    assert (card.resize, card.interpolation) == (25, "bilinear")  # 24 / 0.95, cut off


def test_weights_are_found_in_torchs_cache_or_the_way_to_them_is_said(timm, tmp_path):
    card = find_card("timm/tiny", {})
    with pytest.raises(UserError, match=r"tiny-12345678.pth.*model.download=true"):
        card.load()
    model = card.build()
    (tmp_path / "checkpoints").mkdir()
    torch.save(model.state_dict(), tmp_path / "checkpoints" / "tiny-12345678.pth")
    assert torch.equal(card.load()[0].weight, model[0].weight)


def test_weights_are_downloaded_only_where_that_is_asked_for(timm, monkeypatch):
    asked = []
    monkeypatch.setattr(timm_cards, "fetch", lambda url, file: asked.append(url))
    find_card("timm/tiny", {"download": True}).weights()
    assert asked == [timm.config.url]


def test_a_name_that_timm_does_not_know_is_refused(timm):
    with pytest.raises(UserError, match="not known to timm"):
        find_card("timm/none", {})


def test_without_timm_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setattr(timm_cards, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install timm"):
        find_card("timm/resnet18", {})
