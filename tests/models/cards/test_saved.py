"""A saved network is a folder with a name that is nothing but a name."""

import json

import pytest

from engine.core.errors import UserError
from engine.models.cards.saved import check_name, list_saved, read_saved, saved_entry, saved_folder
from engine.models.zoo import find_card

CARD = {
    "schema": 1, "name": "other", "architecture": "cifar-resnet", "title": "Mine",
    "parameters": {"depth": 8, "in_channels": 3, "classes": 4, "shortcut": "A"},
    "image_shape": [3, 32, 32], "mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2], "resize": 32,
    "weights_sha256": "0" * 64, "classes": ["a", "b", "c", "d"], "class_count": 4,
}  # fmt: skip


def keep(networks, name="net", **changes):
    (networks / name).mkdir(parents=True)
    (networks / name / "card.json").write_text(json.dumps(CARD | changes))
    return networks / name


@pytest.mark.parametrize("name", ["net", "mine/net", "a-1"])
def test_names(name):
    assert check_name(name) == name.removeprefix("mine/")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Net",
        "a/b",
        "../a",
        "mine/../a",
        "mine/mine/a",
        "a.b",
        "-a",
        "a--b",
        "a" * 49,
        "ä",
        "/etc",
    ],
)
def test_what_is_no_name(name):
    with pytest.raises(UserError, match="cannot name a network"):
        check_name(name)


def test_a_saved_network_is_listed_and_its_card_found(tmp_path):
    keep(tmp_path)
    (saved,) = list_saved(tmp_path)
    assert saved.full_name == "mine/net"  # the folder's name counts, not what the file says
    entry = saved_entry(saved)
    assert (entry["name"], entry["classes"], entry["image_shape"]) == ("mine/net", 4, [3, 32, 32])
    card = find_card("mine/net", {}, tmp_path)
    assert (card.image_shape, card.mean, card.classes) == ((3, 32, 32), (0.5,) * 3, tuple("abcd"))
    assert card.build().fc.out_features == 4


def test_menus_get_the_same_fields_as_of_any_other_network(tmp_path):
    from engine.models.card import catalog_entry
    from engine.models.cards.sources import discover_cards

    keep(tmp_path)
    other = catalog_entry(discover_cards()["resnet20-fashion"])
    assert other.keys() <= saved_entry(list_saved(tmp_path)[0]).keys()


@pytest.mark.parametrize("changes", [
    {"schema": 2}, {"mean": [0.5]}, {"std": [0.0, 1.0, 1.0]}, {"image_shape": [3, 32]}, {"mean": 3},
    {"image_shape": [3, 10**9, 32]}, {"parameters": None}, {"classes": "abcd"}, {"images": 3},
])  # fmt: skip
def test_a_card_that_is_none_is_refused_and_left_out_of_menus(tmp_path, changes):
    folder = keep(tmp_path, **changes)
    with pytest.raises(UserError, match=r"card\.json cannot be read"):
        read_saved(folder)
    assert list_saved(tmp_path) == []


def test_weights_that_were_changed_behind_its_back_are_refused(tmp_path):
    folder = keep(tmp_path)
    card = find_card("mine/net", {}, tmp_path)
    with pytest.raises(UserError, match=r"weights\.safetensors cannot be read"):
        card.load()
    (folder / "weights.safetensors").write_bytes(b"other")
    with pytest.raises(UserError, match="not the file that was saved"):
        card.load()


def test_an_unknown_network_names_those_there_are(tmp_path):
    keep(tmp_path)
    with pytest.raises(UserError, match=r"'mine/gone' is not in .*: mine/net"):
        saved_folder("mine/gone", tmp_path)
