"""The user's file runs as in its own folder; what breaks in it is told in one line."""

import re
from pathlib import Path

import pytest
import torch
from PIL import Image

from engine.core.errors import UserError
from engine.core.outside.own_code import check_named, factories, load_factory
from engine.models.cards.from_python_file import own_card
from engine.run.questions.before_a_run.examine import collect
from engine.run.recipes.image_size import card_settings
from engine.run.recipes.recipe import Recipe
from tests.models.probing import odd_networks

pytestmark = pytest.mark.extended  # a network of each kind is built, looked over and run
NET = "from torch import nn\ndef make():\n    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten())\n"
FUTURE = """
from __future__ import annotations
from dataclasses import dataclass
from torch import nn
@dataclass
class Config:
    width: int = 8
def make():
    return nn.Conv2d(3, Config().width, 3)
"""


def written(folder, text, name="mine.py", **neighbours):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    for neighbour, content in neighbours.items():
        (folder / f"{neighbour}.py").write_text(content)
    return folder / name


def built(file, factory="make"):
    return own_card(f"{file}:{factory}", {"image_shape": (3, 8, 8)}).build()


@pytest.mark.parametrize(("text", "neighbours"), [
    ("from parts import stem\ndef make(): return stem()",
     {"parts": "from torch import nn\ndef stem(): return nn.Conv2d(3, 4, 3)"}),
    ("def make():\n    from late import stem\n    return stem()",
     {"late": "from torch import nn\ndef stem(): return nn.Conv2d(3, 4, 3)"}),
    ("from pathlib import Path\nfrom torch import nn\nwidth = len(Path('mine.py').read_text())\n"
     "def make(): return nn.Conv2d(3, len(Path('mine.py').read_text()), 3)", {}),
    (FUTURE, {}),
    ("import argparse\nfrom torch import nn\nchosen = argparse.ArgumentParser().parse_args()\n"
     "def make(): return nn.Conv2d(3, 4, 3)", {}),
    ("from torchvision.models import resnet18\ndef make(): return resnet18(num_classes=2)", {}),
    ("import sys\nfrom torch import nn\ndef make(): return nn.Conv2d(3, 4, 3)\n"
     "if __name__ == '__main__': sys.exit(2)", {}),
], ids=["neighbour", "late", "relative path", "future", "argparse", "torchvision", "main"])  # fmt: skip
def test_a_file_runs_as_in_its_own_folder(tmp_path, text, neighbours):
    before = Path.cwd()
    assert isinstance(built(written(tmp_path / "theirs", text, **neighbours)), torch.nn.Module)
    assert Path.cwd() == before


def test_two_files_have_neighbours_of_one_name(tmp_path):
    text = "from parts import stem\ndef make(): return stem()"
    part = "from torch import nn\ndef stem(): return nn.Conv2d(3, {}, 3)"
    widths = [
        built(written(tmp_path / str(n), text, parts=part.format(n))).out_channels
        for n in (4, 5, 4)
    ]
    assert widths == [4, 5, 4]


def test_what_a_file_prints_goes_to_standard_error(tmp_path, capsys):
    built(
        written(
            tmp_path, "print('hello')\n" + NET.replace("    return", "    print('x')\n    return")
        )
    )
    said = capsys.readouterr()
    assert said.out == ""
    assert "hello\nx" in said.err


@pytest.mark.parametrize(("text", "words"), [
    ("import sys\nsys.exit(2)", r"ends the program \(sys.exit\(2\)\)"),
    ("import sys\ndef make(): sys.exit('no')", r"cannot be called.*sys.exit\('no'\)"),
    ("import nothing_of_this_name", "ModuleNotFoundError"),
    ("def make(:", "SyntaxError"),
    ("def make(): raise ValueError('two\\nlines')", "ValueError: two lines"),
    ("def make(width): pass", "cannot be called: TypeError"),
    ("make = 3", "has no function 'make'"),
])  # fmt: skip
def test_what_breaks_in_it_is_one_line(tmp_path, text, words):
    with pytest.raises(UserError, match=words) as caught:
        built(written(tmp_path, text))
    assert "\n" not in str(caught.value)


FACTORIES = """
from torch import nn
def small(): ...
def wide(width=8, *, deep=2): ...
def _hidden(): ...
def needs(width): ...
async def later(): ...
class Net(nn.Module):
    def __init__(self, classes=10): ...
class Bare(nn.Module): ...
class Asks(nn.Module):
    def __init__(self, classes): ...
class Config: ...
raise SystemExit("executed")
"""


def test_a_file_without_a_factory_lists_those_there_are_and_executes_nothing(tmp_path):
    file = written(tmp_path, FACTORIES)
    assert factories(file) == ["small", "wide", "Net", "Bare"]
    with pytest.raises(
        UserError, match=r"mine.py:FACTORY with one of its functions: small, wide, Net, Bare"
    ):
        check_named(str(file))
    with pytest.raises(UserError, match="is not there"):
        check_named(str(tmp_path / "gone.py"))
    check_named("resnet20-fashion")


def test_a_wrong_factory_lists_the_others(tmp_path):
    with pytest.raises(UserError, match=r"has no function 'mkae'; give mine.py:FACTORY .*: make"):
        load_factory(f"{written(tmp_path, NET)}:mkae", "model")


def test_a_factory_draws_the_same_weights_each_time(tmp_path):
    text = (
        "import random\nimport numpy\nimport torch\nfrom torch import nn\nwidth = random.randint(2, 99)\n"
        "def make():\n    net = nn.Conv2d(3, width, 3)\n    net.drawn = numpy.random.rand()\n    return net"
    )
    first = built(written(tmp_path, text))
    state = torch.get_rng_state()
    torch.rand(3)
    second = built(tmp_path / "mine.py")
    assert torch.equal(first.weight, second.weight)
    assert first.drawn == second.drawn
    torch.set_rng_state(state)
    built(tmp_path / "mine.py")
    assert torch.equal(torch.get_rng_state(), state)


# --- the size of its images -------------------------------------------------------------------------

POOLS = "from torch import nn\ndef make(): return nn.Sequential(nn.Conv2d({}, 4, 3), nn.AdaptiveAvgPool2d(1))"


def pictures(folder, *sizes, mode="RGB"):
    folder.mkdir()
    for number, size in enumerate(sizes):
        Image.new(mode, size).save(folder / f"{number}.png")
    return str(folder)


def shape_of(text, tmp_path, **given):
    recipe = Recipe(
        model=f"{written(tmp_path / 'net', text)}:make",
        synthesis="noise",
        quantization="nearest",
        **given,
    )
    return own_card(recipe.model, card_settings(recipe)).image_shape


@pytest.mark.parametrize(("channels", "mode"), [(3, "RGB"), (1, "L"), (1, "RGB")])
def test_the_size_is_that_of_the_images(tmp_path, channels, mode):
    data = pictures(tmp_path / "data", (40, 24), (40, 24), mode=mode)
    assert shape_of(POOLS.format(channels), tmp_path, data=data) == (channels, 24, 40)
    settings = {"calibration": data}
    assert shape_of(POOLS.format(channels), tmp_path, model_settings=settings) == (channels, 24, 40)


@pytest.mark.parametrize(("text", "shape"), [
    ("nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4 * 30 * 30, 5))", (1, 32, 32)),
    ("nn.Sequential(nn.Flatten(), nn.Linear(3 * 28 * 28, 5))", (3, 28, 28)),
    ("sized(image_size=48)", (3, 48, 48)),
    ("sized(default_cfg={'input_size': (3, 24, 32)})", (3, 24, 32)),
])  # fmt: skip
def test_the_size_is_what_the_network_itself_tells(tmp_path, text, shape):
    sized = (
        "\ndef sized(**known):\n    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1))\n"
        "    net.__dict__.update(known)\n    return net\n"
    )
    assert shape_of(f"from torch import nn{sized}def make(): return {text}", tmp_path) == shape


def test_the_size_is_what_its_checkpoint_is_known_for(tmp_path):
    from engine.models.cards.sources import discover_cards

    weights = str(discover_cards()["resnet20-fashion"].weights())
    text = (
        "from engine.models.architectures.resnet import SmallResNet\n"
        "def make(): return SmallResNet(20, 1, 10, 'A')"
    )
    assert shape_of(text, tmp_path, weights=weights) == (1, 28, 28)


def test_the_size_is_asked_for_and_never_guessed(tmp_path):
    told = r"give --set model.image_shape=3,HEIGHT,WIDTH"
    with pytest.raises(UserError, match=told):
        shape_of(POOLS.format(3), tmp_path)
    data = pictures(tmp_path / "data", (40, 24), (24, 40))
    with pytest.raises(UserError, match=told):
        shape_of(POOLS.format(3), tmp_path, data=data)


# --- the diagnosis ------------------------------------------------------------------------------


def diagnosed(name, tmp_path):
    recipe = Recipe(
        model=f"{odd_networks.__file__}:{name}", synthesis="noise", quantization="nearest",
        model_settings={"image_shape": [3, 32, 32]},
    )  # fmt: skip
    return collect(recipe, tmp_path)


def test_prints_leave_standard_output_to_json(tmp_path, capsys):
    assert diagnosed("prints", tmp_path)["facts"]["outputs"] == 10
    printed = capsys.readouterr().out
    lines = {f"a batch of {count}" for count in (1, 2, 3, 9)}  # before the answer, never behind it
    assert set(printed.splitlines()) <= lines


RIGHT = {name: make.__doc__ or "" for name, make in odd_networks.FACTORIES.items()}
SICK = ("nan_weight", "infinite_bias", "nan_statistics")  # a diagnosis tells of them as of others


OF_EACH_KIND = (
    "view_flatten", "conv_3d", "conv_1d", "inplace_input", "no_grad", "rounded_input", "half",
    "weight_norm", "pruned", "lazy", "sync_batchnorm", "lock", "changing_hook", "transformer",
    "control_flow", "batchnorm_no_affine", "batchnorm_forgets", "only_linear", "dropout_left_on",
)  # fmt: skip


@pytest.mark.parametrize("name", OF_EACH_KIND)
def test_an_odd_network_is_diagnosed(tmp_path, name):
    kinds = {finding["kind"] for finding in diagnosed(name, tmp_path)["findings"]}
    assert ("no-gradient" in kinds) == ("gradient" in RIGHT[name])


@pytest.mark.parametrize("name", SICK)
def test_a_sick_network_is_diagnosed_as_such(tmp_path, name):
    assert "not-finite" in {finding["kind"] for finding in diagnosed(name, tmp_path)["findings"]}


@pytest.mark.parametrize("name", [
    "scripted", "quantized", "on_meta", "hook_on_the_whole", "layers_in_a_lambda", "trains_itself",
    "empty", "returns_none", "two_inputs", "raises", "recursion", "exits", "another_size",
    "asks_for_more", "not_a_network",
])  # fmt: skip
def test_what_cannot_work_is_one_line_in_a_diagnosis_too(tmp_path, name):
    words = RIGHT[name].partition(": ")[2]
    with pytest.raises(UserError, match=re.escape(words)) as said:
        diagnosed(name, tmp_path)
    assert "\n" not in str(said.value)
