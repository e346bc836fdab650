"""The page, the command line and Python take the same words, and make the same recipe of them."""

import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from app.engine_calls import actions
from app.wording.engine_words import page_words
from engine import run
from engine.__main__ import main
from engine.core.errors import UserError
from engine.run import catalog as catalog_module
from engine.run.recipes import located
from engine.run.workers import launch
from tests.toys import _knob as a_knob
from tests.toys import catalog

NAMES = {"model": "toy", "synthesis": "dream", "quantization": "nearest"}
OWN = "def net(): ...\ndef other(depth=3): ...\ndef needs(depth): ...\ndef _hidden(): ...\n"
SHAPE = {"model_settings": {"image_shape": "3,32,32"}}
DOORS = ("python", "command line", "page")


class Started(Exception):  # noqa: N818  (the end of each door's way)
    def __init__(self, recipe):
        self.recipe = recipe


@pytest.fixture
def door(tmp_path, monkeypatch):
    """A function of a door's name and of what is wanted: the recipe that would be started, or UserError."""
    everything = catalog() | {
        "synthesis": [
            *catalog()["synthesis"],
            {"name": "real", "settings": [], "needs": ["real-images"]},
            {"name": "external", "settings": [a_knob("folder", "", "str")]},
        ]
    }
    monkeypatch.setattr(catalog_module, "load", lambda runs: everything)
    monkeypatch.setattr(run, "load_catalog", lambda runs: everything)
    monkeypatch.setattr(actions, "load_catalog", lambda: everything)
    monkeypatch.setattr(actions, "runs_folder", lambda: tmp_path / "runs")
    monkeypatch.setattr(located, "find_spec", lambda name: object())
    monkeypatch.chdir(tmp_path)

    def start(recipe, runs):
        raise Started(recipe)

    monkeypatch.setattr(launch, "start", start)
    refused = []
    page = SimpleNamespace(error=refused.append, session_state={})
    monkeypatch.setattr(actions, "st", page)

    def through(door, capsys=None, **wanted):
        wanted = NAMES | wanted
        if door == "python":
            return run.new_recipe(runs=tmp_path / "runs", **wanted)
        if door == "page":
            with pytest.raises(Started) if not capsys else SilentDoor() as seen:
                actions.start_run(wanted)
            if refused:
                raise UserError(refused.pop().replace("\\", ""))  # a page escapes Markdown
            return seen.value.recipe
        monkeypatch.setattr("engine.__main__.end", _raise)
        with pytest.raises(Started) as seen:
            main(["run", "--runs", str(tmp_path / "runs"), *words(wanted)])
        return seen.value.recipe

    return through


class SilentDoor:
    """Where nothing is to be started."""

    value = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False


def _raise(error, options):
    raise error


def words(wanted):
    """What is wanted in the words of the command line."""
    line = []
    for name, value in wanted.items():
        if name.endswith("_settings"):
            kind = name.removesuffix("_settings")
            for setting, one in value.items():
                text = ",".join(map(str, one)) if isinstance(one, list) else str(one)
                line += ["--set", f"{kind}.{setting}={text}"]
        else:
            line += [f"--{name.replace('_', '-')}", str(value)]
    return line


@pytest.fixture
def files(tmp_path):
    """`photos/` and `photos.zip` with a picture in each, a checkpoint `w.pth`, a program `net.py`."""
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "photos" / "0.png")
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.write(tmp_path / "photos" / "0.png", "0.png")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.writestr("readme.md", "nothing")
    (tmp_path / "empty").mkdir()
    (tmp_path / "w.pth").write_bytes(b"x")
    (tmp_path / "net.py").write_text(OWN)
    return tmp_path


SAME = {  # each line is one recipe, written in several ways
    "data": [{"data": "photos"}, {"data": Path("photos")}, {"data": "{here}/photos"}],
    "zip": [{"data": "photos.zip"}, {"data": Path("photos.zip")}, {"data": "{here}/photos.zip"}],
    "weights": [{"weights": "w.pth"}, {"weights": Path("w.pth")}, {"weights": "{here}/w.pth"}],
    "numbers": [
        {"weight_bits": 3, "images": 7, "seed": 2**60 + 1},
        {"weight_bits": "3", "images": "7", "seed": str(2**60 + 1)},
    ],
    "settings": [
        {"model_settings": {"mean": [0.25]}, "synthesis_settings": {"steps": 9, "swing": False}},
        {"model_settings": {"mean": ".25"}, "synthesis_settings": {"steps": "9", "swing": "no"}},
    ],
}
BY_FILE = [
    {"model": "net.py:net", "model_settings": {"image_shape": [3, 32, 32]}},
    {"model": "./net.py:net", **SHAPE},
    {"model": "{here}/net.py:net", **SHAPE},
    {"model": Path("net.py:net"), **SHAPE},
]


def at(here, wanted):
    return {
        name: value.replace("{here}", str(here)) if isinstance(value, str) else value
        for name, value in wanted.items()
    }


@pytest.mark.parametrize("what", SAME)
def test_one_recipe_however_it_is_written_and_through_every_door(door, files, what):
    recipes = [door(one, **at(files, wanted)) for one in DOORS for wanted in SAME[what]]
    assert {recipe.run_id for recipe in recipes} == {recipes[0].run_id}
    assert len({recipe.to_json() for recipe in recipes}) == 1
    assert recipes[0].run_id != door("python").run_id


def test_a_network_by_file_is_one_recipe_from_the_command_line_and_from_python(door, files):
    recipes = [
        door(one, **at(files, wanted)) for one in ("python", "command line") for wanted in BY_FILE
    ]
    assert len({recipe.to_json() for recipe in recipes}) == 1
    assert recipes[0].model == f"{files}/net.py:net"
    assert recipes[0].contents["model"]


def test_a_folder_of_runs_may_be_relative(files, door, tmp_path):
    wanted = NAMES | {"data": "photos.zip"}
    recipe = run.new_recipe(runs="runs", **wanted)
    assert recipe == door("python", data="photos.zip")
    assert Path(recipe.data).is_absolute()


def test_a_network_of_timm_needs_no_menu(door):
    assert len({door(one, model="timm/resnet18").to_json() for one in DOORS}) == 1


@pytest.mark.parametrize(
    "wanted",
    [{"model": "net.py:net"},
     {"synthesis": "external", "synthesis_settings": {"folder": "net.py:net"}}],
)  # fmt: skip
def test_a_page_executes_no_file(door, files, wanted):
    with pytest.raises(UserError, match="would execute a file, which only the command line"):
        door("page", capsys=True, **wanted)


REFUSED = [
    ({"data": "nowhere"}, "data 'nowhere' is not a folder or zip archive; give the path of one"),
    ({"data": "empty"}, "empty holds no images; put class folders or image files into it"),
    ({"data": "empty.zip"}, "empty.zip holds no images; pack"),
    ({"data": "w.pth"}, "w.pth is no readable zip archive"),
    ({"weights": "nowhere.pth"}, "nowhere.pth cannot be read: No such file or directory; give"),
    ({"weights": "photos"}, "photos is a folder; give the path of a regular file"),
    ({"weights": "x" * 5000}, "weights 'xxx"),
    ({"data": "~stranger-to-all/x"}, "data '~stranger-to-all/x' can be no path; give"),
    ({"model": "tyo"}, "network 'tyo' is not known; choose one of toy"),
    ({"synthesis": "x"}, "synthesis method 'x' is not known"),
    ({"weight_bits": 9}, "weight bits is 9; choose 2 to 8"),
    ({"images": 0}, "images is 0; choose 1 to 100000"),
    ({"seed": 2**62}, "seed is 4611686018427387904; choose 0 to"),
    ({"edge_rule": "x"}, "edge rule 'x' is not known; choose one of"),
    ({"preset": "slow"}, "preset 'slow' is not known; choose one of"),
    ({"synthesis_settings": {"step": 1}}, "synthesis.step is not a setting here; there are: rate"),
    ({"synthesis_settings": {"rate": "nan"}}, "synthesis.rate is 'nan'; give a finite number"),
    ({"model_settings": {"mean": "nan"}}, "model.mean is 'nan'; give finite numbers with commas"),
    ({"synthesis": "external"}, "synthesis.folder is empty; give a folder of images"),
    ({"synthesis": "real", "model": "timm/resnet18"}, "synthesis 'real' cannot work on 'timm/resnet18'"),
]  # fmt: skip
REFUSED_BY_FILE = [
    ({"model": "net.py"}, "with one of its functions: net, other$"),
    ({"model": "gone.py"}, "model 'gone.py' is not a file"),
    ({"model": "gone.py:net"}, "model 'gone.py' is not a file"),
    ({"model": "net.py:net", "synthesis": "real"}, r"needs real images.*set model\.calibration"),
]


@pytest.mark.parametrize("through", DOORS)
@pytest.mark.parametrize(("wanted", "says"), REFUSED, ids=[says for _, says in REFUSED])
def test_what_is_wrong_is_told_before_anything_starts(door, files, through, wanted, says):
    with pytest.raises(UserError) as raised:
        door(through, capsys=True, **wanted)
    # a page has labels and titles where the others have the names of settings and methods
    assert (page_words(says) if through == "page" else says) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize("through", DOORS[:2])
@pytest.mark.parametrize(("wanted", "says"), REFUSED_BY_FILE)
def test_what_is_wrong_with_a_network_by_file_too(door, files, through, wanted, says):
    with pytest.raises(UserError, match=says):
        door(through, **wanted)


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"weight_bit": 3}, "weight_bit is no field of a recipe; there are: model"),
        ({"model": ""}, "a recipe needs model; give its name"),
        ({"model_settings": "mean=1"}, "model settings are 'mean=1'; give a dictionary"),
        ({"synthesis_settings": ["steps"]}, r"synthesis settings are \['steps'\]; give a dictionary"),
        ({"model_settings": {"mean": None}}, "model.mean is None; give finite numbers"),
        ({"weight_bits": [3]}, r"weight bits is \[3\]; choose 2 to 8"),
        ({"seed": float("nan")}, "seed is nan; choose 0 to"),
        ({"images": 1e400}, "images is inf; choose 1 to"),
        ({"images": 10**5000}, "images is a very large number; choose 1 to"),
        ({"weights": "a\0b"}, r"weights 'a\\x00b' can be no path; give"),
        ({"data": "a\0b"}, r"data 'a\\x00b' can be no path; give"),
        ({"synthesis": "external", "synthesis_settings": {"folder": "a\0b"}}, "folder is .*give a text"),
    ],
)  # fmt: skip
def test_what_only_a_program_can_write_is_a_mistake_and_no_crash(door, wanted, says):
    with pytest.raises(UserError, match=says) as raised:
        door("python", **wanted)
    assert "\n" not in str(raised.value)


def test_a_recipe_that_is_being_drawn_up_unpacks_nothing(files, monkeypatch):
    """A page's form is drawn again at every key: nothing is listed and nothing unpacked for it."""
    monkeypatch.chdir(files)
    monkeypatch.setattr(located, "check_folder", lambda *_: pytest.fail("listed"))
    from engine.run.recipes.recipe import make_recipe

    assert make_recipe(catalog(), **NAMES, data="photos").data == str(files / "photos")
    with pytest.raises(UserError, match=r"'photos\.zip' is not a folder; give"):
        make_recipe(catalog(), **NAMES, data="photos.zip")
