"""A checkpoint that a user brings: found out about, tried, saved, run; by the command line alone."""

import json
import pickle
import sys
import zipfile

import pytest
import torch
from PIL import Image

from engine.__main__ import main
from engine.core.errors import UserError
from engine.models.architectures.resnet import SmallResNet
from engine.models.cards.saved import list_saved, read_saved, saved_entry
from engine.models.cards.sources import discover_cards
from engine.run import networks
from engine.run.recipes.recipe import Recipe, make_recipe


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.setenv("QUANTOSCOPE_NETWORKS", str(tmp_path / "networks"))
    monkeypatch.setenv("QUANTOSCOPE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(
        "engine.run.commands.networks._limit_memory", lambda: None
    )  # of the tests' own process
    monkeypatch.setattr("engine.models.cards.from_architecture.all_cards", discover_cards)


@pytest.fixture
def file(tmp_path):
    """A CIFAR ResNet as its author's script leaves it."""
    state = SmallResNet(8, 3, 4, "A").state_dict()
    named = {f"module.{k}".replace("fc.", "linear."): v for k, v in state.items()}
    torch.save({"state_dict": named, "best_prec1": 91.0}, tmp_path / "net.th")
    return tmp_path / "net.th"


@pytest.fixture
def images(tmp_path):
    for label in range(4):
        (tmp_path / "images" / str(label)).mkdir(parents=True)
        for n in range(3):
            Image.new("RGB", (32, 32), (60 * label, 20 * n, 0)).save(
                tmp_path / f"images/{label}/{n}.png"
            )
    return tmp_path / "images"


def answer(capsys, *arguments):
    assert main([*map(str, arguments), "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out.strip().splitlines()[-1])


def refusal(capsys, *arguments):
    assert main([*map(str, arguments)]) == 2
    said = capsys.readouterr().err.strip()
    assert "\n" not in said
    return said


def test_inspect_says_what_was_undone_and_proposes(capsys, file):
    found = answer(capsys, "inspect", file)
    assert found["undone"] == [
        "taken from 'state_dict' (best_prec1 left aside)",
        "prefix 'module.' taken off",
    ]
    assert found["guesses"][0]["architecture"] == "cifar-resnet"
    assert found["guesses"][0]["renamed"] == ["'linear' is this network's 'fc'"]
    assert found["proposal"]["image_shape"] == [3, 32, 32]
    assert found["proposal"]["class_count"] == 4


def test_float_accuracy_is_that_of_a_naive_loop(capsys, file, images):
    said = answer(
        capsys,
        "try-network",
        "--weights",
        file,
        "--images",
        images,
        "--mean=.4,.4,.4",
        "--std=.2,.2,.2",
    )
    model = SmallResNet(8, 3, 4, "A").eval()
    state = torch.load(file, weights_only=True)["state_dict"]
    model.load_state_dict(
        {k.removeprefix("module.").replace("linear.", "fc."): v for k, v in state.items()}
    )
    right = 0
    for label in range(4):
        for n in range(3):
            pixels = (
                torch.tensor([60 * label, 20 * n, 0]).view(1, 3, 1, 1).expand(1, 3, 32, 32) / 255
            )
            right += int(model((pixels - 0.4) / 0.2).argmax()) == label
    assert said["accuracy"]["top1"] == pytest.approx(right / 12)
    assert (said["outputs"], said["blocks"], said["accuracy"]["images"]) == (4, 5, 12)
    assert {"ImageNet", "CIFAR-10"} <= {one["name"] for one in said["accuracy"]["others"]}


def test_labels_beyond_the_classes_are_refused(capsys, file, images):
    (images / "4").mkdir()
    Image.new("RGB", (32, 32)).save(images / "4/x.png")
    said = refusal(capsys, "try-network", "--weights", file, "--images", images)
    assert "labels up to 4, the network has 4 classes (0 to 3)" in said


def test_a_saved_network_is_in_the_menus_and_computes_the_same(capsys, file, images, tmp_path):
    said = answer(
        capsys, "save-network", "my-net", "--weights", file, "--images", images, "--title", "My net"
    )
    assert said["name"] == "mine/my-net"
    (saved,) = list_saved(tmp_path / "networks")
    assert (saved.title, saved.class_count, saved.images) == ("My net", 4, str(images))
    from engine.models.zoo import find_card

    card = find_card("mine/my-net", {}, tmp_path / "networks")
    state = torch.load(file, weights_only=True)["state_dict"]
    assert torch.equal(card.load().fc.weight, state["module.linear.weight"])
    assert card.images == images


def test_images_in_an_archive_are_judged_on_and_kept_beside_the_weights(
    capsys, file, images, tmp_path
):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for picture in sorted(images.rglob("*.png")):
            archive.write(picture, f"set/{picture.relative_to(images)}")
    with_folder = answer(capsys, "try-network", "--weights", file, "--images", images)
    with_archive = answer(capsys, "try-network", "--weights", file, "--images", tmp_path / "x.zip")
    assert with_archive["accuracy"] == with_folder["accuracy"]
    answer(capsys, "save-network", "net", "--weights", file, "--images", tmp_path / "x.zip")
    from engine.models.zoo import find_card

    kept = find_card("mine/net", {}, tmp_path / "networks").images
    assert kept == tmp_path / "networks/net/images/set"
    assert len(list(kept.rglob("*.png"))) == 12
    first = networks.unpacked(tmp_path / "x.zip", tmp_path / "runs")
    assert first == networks.unpacked(tmp_path / "x.zip", tmp_path / "runs")
    assert len(list(first.rglob("*.png"))) == 12


def test_a_name_that_is_taken_is_not_overwritten_unless_asked(capsys, file, tmp_path):
    answer(capsys, "save-network", "net", "--weights", file)
    before = read_saved(tmp_path / "networks/net")
    assert "is there already" in refusal(
        capsys, "save-network", "net", "--weights", file, "--title", "New"
    )
    answer(capsys, "save-network", "net", "--weights", file, "--title", "New", "--replace")
    after = read_saved(tmp_path / "networks/net")
    assert (before.title, after.title) == ("ResNet-8", "New")

    catalog = {"models": [saved_entry(before)], "synthesis": [], "quantization": []}
    for kind in ("synthesis", "quantization"):
        catalog[kind] = [{"name": "m", "settings": []}]
    recipe = make_recipe(catalog, model="mine/net", synthesis="m", quantization="m")
    assert isinstance(recipe, Recipe)
    with pytest.raises(UserError, match="has been saved anew since"):
        networks.check_content(recipe, tmp_path / "networks")


def test_forgotten_networks_are_gone(capsys, file, tmp_path):
    answer(capsys, "save-network", "net", "--weights", file)
    answer(capsys, "forget-network", "mine/net")
    assert list_saved(tmp_path / "networks") == []
    assert "'mine/net' is not in" in refusal(capsys, "forget-network", "mine/net")


def test_nothing_is_left_behind_by_a_network_that_does_not_run(capsys, file, tmp_path):
    said = refusal(capsys, "save-network", "net", "--weights", file, "--image-shape", "1,32,32")
    assert "the first layer takes 3 channels" in said
    deeper = ("--architecture", "cifar-resnet", "--parameter", "depth=20")
    assert "does not fit" in refusal(capsys, "save-network", "net", "--weights", file, *deeper)
    assert not (tmp_path / "networks").exists() or not list((tmp_path / "networks").iterdir())


@pytest.mark.parametrize(("option", "said"), [
    ("--mean=1,2", "mean has 2 values"), ("--std=0,1,1", "must be above 0"),
    ("--mean=a,b", "numbers with commas"),
    ("--parameter=depth", "NAME=VALUE"), ("--images=/nowhere", "is not there"),
    ("--architecture=nonsense", "is not known"), ("--image-shape=3,9999,9999", "up to 2048"),
])  # fmt: skip
def test_mistakes_of_the_form_are_said_in_one_line(capsys, file, option, said):
    assert said in refusal(capsys, "try-network", "--weights", file, option)


def test_the_page_asks_through_a_process_and_gets_the_same_line(tmp_path):
    (tmp_path / "w.pth").write_text("no checkpoint at all")
    with pytest.raises(UserError, match=r"w\.pth cannot be read: it is no safetensors"):
        networks.inspect(tmp_path / "w.pth")


def test_the_forms_fields_come_through_the_command_line_unchanged():
    from engine.__main__ import _parser
    from engine.run.commands.networks import brought_of

    brought = networks.Brought(
        weights="/w.pth", architecture="cifar-resnet", parameters={"depth": 20, "shortcut": "A"},
        image_shape=(3, 32, 32), mean=(0.1, 0.2, 1 / 3), std=(1.0, 2.0, 3.0), resize=40,
        classes=("a b", "c"), title="-- a 'title' =", summary="x", dataset="d",
    )  # fmt: skip
    assert brought_of(_parser().parse_args(["try-network", *brought.options()])) == brought


def test_a_class_name_that_is_a_files_name_is_a_name_and_the_file_is_not_read(tmp_path):
    from engine.__main__ import _parser
    from engine.run.commands.networks import brought_of

    (tmp_path / "diary").write_text("dear\ndiary")
    brought = networks.Brought(weights="/w.pth", classes=(str(tmp_path / "diary"),))
    assert brought_of(_parser().parse_args(["try-network", *brought.options()])) == brought


def test_a_networks_name_is_no_word_of_a_command(tmp_path):
    for name in ("--replace", "--runs=/x", "a b", "../x", "a\0b", "x" * 300):
        with pytest.raises(UserError, match="cannot name a network"):
            networks.save(name, networks.Brought(weights="/w.pth"), tmp_path)


MAGIC = 0x1950A86A20F9469CFC6C  # how torch's files before 1.6 begin


def greedy(size):
    """A pickle of some 40 bytes that makes a bytearray of any size, which torch allows."""
    return b"\x80\x02cbuiltins\nbytearray\n\x8a\x05" + size.to_bytes(5, "little") + b"\x85R."


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_a_small_file_that_asks_for_much_memory_gets_none(tmp_path):
    assert pickle.loads(greedy(3)) == bytes(3)  # the trap is a real one
    beginning = b"".join(pickle.dumps(part, protocol=2) for part in (MAGIC, 1001, {}))
    (tmp_path / "w.pth").write_bytes(beginning + greedy(12 * 10**9))
    with pytest.raises(UserError, match="asks for more memory than there is"):
        networks.inspect(tmp_path / "w.pth")
