"""Files that are not there or not what they should be: what the message asks for is given, and it works."""

import re
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from engine.__main__ import main
from engine.core.errors import UserError
from engine.data.archive import unpack
from engine.data.image_folders import check_folder
from engine.data.own_images import images_from
from engine.models.card import ASSETS
from engine.models.cards.from_architecture import architecture_card
from engine.models.cards.from_python_file import own_card
from engine.models.cards.sources import discover_cards
from engine.run import context
from engine.run.commands import networks
from engine.run.recipes.located import images_named, network_named
from engine.run.recipes.recipe import Recipe
from tests.contracts.nets import TinyResNet, ready

WEIGHTS = ASSETS / "resnet20-fashion" / "weights.safetensors"
CARD = replace(
    discover_cards()["resnet20-fashion"], name="toy", image_shape=(3, 8, 8), mean=(0.5,) * 3,
    std=(0.5,) * 3, build=TinyResNet, weights=lambda: None,
)  # fmt: skip


def refusal(act):
    with pytest.raises(UserError) as raised:
        act()
    text = str(raised.value)
    assert "\n" not in text
    return text


def picture(path, shade=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (shade,) * 3).save(path)


class TestFolders:
    @pytest.mark.parametrize("put", ["class folders", "image files"])
    def test_an_empty_one_is_filled_as_it_says(self, tmp_path, put):
        text = refusal(lambda: check_folder(tmp_path))
        assert put in text.partition("; ")[2]
        picture(tmp_path / "cat" / "0.png" if put == "class folders" else tmp_path / "0.png")
        check_folder(tmp_path)

    def test_a_missing_one_is_given(self, tmp_path):
        text = refusal(lambda: images_named(tmp_path / "gone", tmp_path / "runs"))
        assert "not a folder or zip archive; give the path of one that exists" in text
        picture(tmp_path / "gone" / "0.png")
        assert images_named(tmp_path / "gone", tmp_path / "runs") == str(tmp_path / "gone")
        with zipfile.ZipFile(tmp_path / "gone.zip", "w") as archive:
            archive.write(tmp_path / "gone" / "0.png", "0.png")
        assert images_named(tmp_path / "gone.zip", tmp_path / "runs")

    @pytest.mark.parametrize("pack", ["class folders", "images with a labels.csv"])
    def test_an_archive_without_images_is_packed_as_it_says(self, tmp_path, pack):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr("readme.md", "nothing")
        assert pack in refusal(lambda: unpack(tmp_path / "a.zip", tmp_path / "out"))
        picture(tmp_path / "0.png")
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            if pack == "class folders":
                archive.write(tmp_path / "0.png", "cat/0.png")
            else:
                archive.write(tmp_path / "0.png", "0.png")
                archive.writestr("labels.csv", "0.png,1\n")
        unpack(tmp_path / "a.zip", tmp_path / "out")
        check_folder(tmp_path / "out")

    @pytest.mark.parametrize("what", ["torn", "a picture"])
    def test_what_is_no_archive_is_packed_anew(self, tmp_path, what):
        picture(tmp_path / "0.png")
        file = tmp_path / "a.zip"
        if what == "torn":
            with zipfile.ZipFile(file, "w") as archive:
                archive.write(tmp_path / "0.png", "0.png")
            file.write_bytes(file.read_bytes()[:-30])
        else:
            file.write_bytes((tmp_path / "0.png").read_bytes())
        assert "pack it anew" in refusal(lambda: unpack(file, tmp_path / "out"))
        with zipfile.ZipFile(file, "w") as archive:
            archive.write(tmp_path / "0.png", "0.png")
        unpack(file, tmp_path / "out")


class TestWeights:
    def load(self, path):
        return CARD.load(path)

    @pytest.fixture
    def right(self, tmp_path):
        path = tmp_path / "right.safetensors"
        save_file(ready(TinyResNet()).state_dict(), path)
        return path

    @pytest.mark.parametrize(
        ("wrong", "says"),
        [
            (lambda file: None, "give another with --weights FILE"),
            (lambda file: file.write_bytes(b""), "give a .safetensors file or a .pth with a state_dict"),
            (lambda file: file.write_bytes(b"\x89HDF" + b"x" * 600), "give a .safetensors file or a .pth"),
            (lambda file: file.write_bytes(b"<html>"), "give a .safetensors file or a .pth"),
            (lambda file: torch.save({"epoch": 3}, file), "state_dict"),
            (lambda file: torch.save({"x": torch.zeros(3)}, file), "give the checkpoint of this arch"),
            (lambda file: torch.save(with_nan(), file), "give a checkpoint from before the training broke"),
            (lambda file: torch.save(of_classes(5), file), "give a checkpoint of 3 classes"),
        ],
        ids=["gone", "empty", "keras", "page", "no tensors", "other", "nan", "classes"],
    )  # fmt: skip
    def test_are_replaced_by_what_is_asked_for(self, tmp_path, right, wrong, says):
        file = tmp_path / "wrong.pth"
        wrong(file)
        assert says in refusal(lambda: self.load(file))
        assert self.load(right)
        torch.save({"state_dict": ready(TinyResNet()).state_dict()}, file)
        assert self.load(file)


def with_nan():
    state = ready(TinyResNet()).state_dict()
    state["stem.0.weight"][0] = torch.nan
    return state


def of_classes(count):
    state = ready(TinyResNet()).state_dict()
    return state | {"head.2.weight": torch.zeros(count, 6), "head.2.bias": torch.zeros(count)}


class TestOwnFile:
    BODY = "from torch import nn\n"

    @pytest.fixture
    def file(self, tmp_path):
        path = tmp_path / "net.py"
        path.write_text(
            self.BODY + "def net():\n    return nn.Conv2d(3, 2, 3)\ndef three(): return 3\n"
        )
        return path

    def test_a_file_alone_is_named_with_one_of_its_functions(self, file):
        text = refusal(lambda: network_named(str(file), own_code=True))
        for name in text.partition("its functions: ")[2].split(", "):
            assert network_named(f"{file}:{name}", own_code=True)[1]

    def test_a_file_without_functions_is_given_one(self, file):
        file.write_text(self.BODY)
        assert "write a function in it" in refusal(lambda: network_named(str(file), own_code=True))
        file.write_text(self.BODY + "def make():\n    return nn.Conv2d(3, 2, 3)\n")
        text = refusal(lambda: network_named(str(file), own_code=True))
        assert text.endswith("one of its functions: make")

    @pytest.mark.parametrize("name", ["gone", "three"])
    def test_what_returns_no_network_is_replaced_by_what_does(self, file, name):
        shape = {"image_shape": [3, 8, 8]}
        assert re.search(
            "must return a torch.nn.Module|name one behind the colon|; ",
            refusal(lambda: own_card(f"{file}:{name}", shape).load()),
        )
        assert own_card(f"{file}:net", shape).load()

    def test_a_shape_that_is_none_is_given_as_it_says(self, file):
        text = refusal(lambda: own_card(f"{file}:net", {"image_shape": [8, 8]}))
        assert "channels,height,width" in text
        assert own_card(f"{file}:net", {"image_shape": [3, 8, 8]})


SPACE = {"image_shape": (3, 8, 8), "mean": (0.5,) * 3, "std": (0.25,) * 3, "resize": 8}


class TestOwnImages:
    @pytest.mark.parametrize(
        ("wrong", "says", "right"),
        [
            ("[torch.zeros(3, 8, 8)]", "choose fewer --images", None),
            ("[torch.zeros(1, 8, 8)] * 2", "takes [3, 8, 8]; give that", "torch.zeros(2, 3, 8, 8)"),
            ("[torch.zeros(0, 3, 8, 8)]", "give images", "[torch.zeros(3, 8, 8)] * 2"),
            ("['a.png'] * 2", "give tensors, arrays or Pillow's images", "[np.zeros((3, 8, 8))] * 2"),
            ("['a.png'] * 2", "give tensors, arrays or Pillow's images", "[Image.new('RGB', (9, 9))] * 2"),
            ("[torch.ones(3, 8, 8).int()] * 2", "give floats in [0, 1], or bytes",
             "[torch.ones(3, 8, 8).byte()] * 2"),
            ("[torch.full((3, 8, 8), 2.0)] * 2", "give them in [0, 1]", "[torch.full((3, 8, 8), 1.0)] * 2"),
            ("[torch.full((3, 8, 8), torch.nan)] * 2", "give them in [0, 1]", "[torch.zeros(3, 8, 8)] * 2"),
            ("[np.array(['a'])] * 2", "give", "[np.zeros((3, 8, 8), np.uint8)] * 2"),
            ("1 / 0", "it must return something that yields images", "torch.zeros(2, 3, 8, 8)"),
            ("3", "it must return something that yields images", "iter(torch.zeros(2, 3, 8, 8))"),
        ],
    )  # fmt: skip
    def test_are_given_as_the_message_asks(self, tmp_path, wrong, says, right):
        def take(value, count=2, name="a.py"):
            file = tmp_path / name
            head = "import numpy as np\nimport torch\nfrom PIL import Image\n"
            file.write_text(f"{head}def faces():\n    return {value}\n")
            return images_from(f"{file}:faces", count, **SPACE)

        assert says in refusal(lambda: take(wrong))
        made = take(wrong, 1) if right is None else take(right, 2, "b.py")
        assert bool(made.isfinite().all())


class TestNormalisation:
    @pytest.mark.parametrize(
        ("wrong", "says", "right"),
        [
            ({"mean": [0.5]}, "give one for each of 3 colour channels", {"mean": [0.5] * 3}),
            ({"std": [0.5] * 4}, "give one for each of 3 colour channels", {"std": [0.5] * 3}),
            ({"mean": [128.0] * 3}, "are divided by 255", {"mean": [128 / 255] * 3}),
            ({"std": [0.5, 0.0, 0.5]}, "must be above 0", {"std": [0.5, 0.1, 0.5]}),
        ],
    )
    def test_is_given_as_the_message_asks(self, wrong, says, right):
        def read(settings):
            recipe = Recipe(
                model="toy", synthesis="noise", quantization="nearest", model_settings=settings
            )
            return context.normalisation(CARD, recipe)

        assert says in refusal(lambda: read(wrong))
        assert np.isfinite(read(right)).all()


class TestArchitectures:
    """Of a checkpoint that is brought: names and numbers that the message offers are taken."""

    @pytest.fixture(autouse=True)
    def _without_limit(self, monkeypatch):
        """It would stay with this process."""
        monkeypatch.setattr(networks, "_limit_memory", lambda: None)

    def offers(self, text):
        if found := re.search(r"from (\d+) to (\d+)", text):
            return [int(found[1]), int(found[2])]
        if "choose A (" in text:
            return ["A", "B"]
        way = re.split("choose one of |there are: ", text)[-1]
        return [int(one) if one.isdecimal() else one for one in way.split(", ")]

    @pytest.mark.parametrize(
        "wrong", [{"depth": 21}, {"classes": 0}, {"in_channels": "x"}, {"shortcut": "C"}], ids=str
    )
    def test_a_parameter_is_one_of_those_offered(self, wrong):
        (name,) = wrong
        text = refusal(lambda: architecture_card("cifar-resnet", wrong))
        for value in self.offers(text):
            if name != "depth" or (value - 2) % 6 == 0:
                assert architecture_card("cifar-resnet", {name: value})

    def test_a_parameter_that_is_none_lists_those_there_are(self):
        text = refusal(lambda: architecture_card("cifar-resnet", {"width": 3}))
        fine = {"classes": 10, "in_channels": 3, "depth": 20, "shortcut": "A"}
        for name in self.offers(text):
            assert architecture_card("cifar-resnet", {name: fine[name]})

    def test_the_command_that_lists_architectures_does(self, tmp_path, capsys):
        text = refusal(lambda: architecture_card("/tmp/a.py:f", {}))
        words = re.search("`python -m engine (.*?)`", text)[1].replace("FILE", str(WEIGHTS)).split()
        assert main(words) == 0
        name = re.search(r"architecture: (\S+)", capsys.readouterr().out)[1]
        assert architecture_card(name, {})

    @pytest.mark.parametrize(
        ("option", "wrong", "says", "right"),
        [
            ("--image-shape", "nan,1,1", "write channels,height,width, as 3,32,32", "1,28,28"),
            ("--image-shape", "1.5,28,28", "write channels,height,width", "1,28,28"),
            ("--mean", "inf", "write finite numbers with commas", "0.286"),
            ("--std", "a", "write finite numbers with commas", "0.353"),
            ("--std", "-1", "above 0", "0.353"),
            ("--mean", "1,2,3", "give one for each of 1 colour channels", "0.286"),
            ("--resize", "1e400", "is no whole number; see", "28"),
            ("--parameter", "depth", "write NAME=VALUE", "depth=20"),
            ("--images", "nowhere", "give a folder of images or a zip archive", ""),
        ],
    )
    def test_an_option_is_written_as_it_says(self, capsys, option, wrong, says, right, tmp_path):
        picture(tmp_path / "0.png")
        words = ["try-network", "--weights", str(WEIGHTS)]
        extra = ["--architecture", "cifar-resnet", "--parameter", "in_channels=1"]
        words += extra if option == "--parameter" else []
        assert main([*words, f"{option}={wrong}"]) == 2
        err = capsys.readouterr().err
        assert says in err
        assert err.count("\n") == 1
        assert main([*words, f"{option}={right or tmp_path}"]) == 0, capsys.readouterr().err
