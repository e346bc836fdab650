"""A new method from its template: three lines filled in, it runs; unfilled, its own test fails."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engine.core.errors import UserError
from engine.run.new_method import KINDS, new_method
from tests.few_images import few_images

ROOT = Path(__file__).parents[3]
STEP = {
    "synthesis": (
        r"raise NotImplementedError\(.*\)",
        "return scene.shown.diff(dim=3).square().mean()",
    ),
    "quantization": (
        r"raise NotImplementedError\(.*\)",
        "return (values[..., None] - levels).abs().argmin(-1)",
    ),
}
NAMES = {"synthesis": "smooth-pixels", "quantization": "own-path"}
OTHER = {
    "synthesis": ("--synthesis", "smooth-pixels", "--quantization", "nearest"),
    "quantization": ("--synthesis", "noise", "--quantization", "own-path"),
}


@pytest.fixture
def house(tmp_path):
    """A copy of the engine and its tests, in which methods may be written."""
    for part in ("engine", "tests"):
        shutil.copytree(ROOT / part, tmp_path / part)  # with what Python has compiled already
    (tmp_path / "assets").symlink_to(ROOT / "assets")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def python(house, *arguments):
    """What `python ARGUMENTS` prints in that house; its status is checked by the caller."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "QUANTOSCOPE_RUNS": str(house / "runs")}
    return subprocess.run(
        [sys.executable, *arguments], cwd=house, env=environment, capture_output=True, text=True
    )


def fill_in(file, kind):
    text = file.read_text()
    assert text.count("line 1") == text.count("line 2") == text.count("line 3") == 1
    text = re.sub(r'summary="",.*', 'summary="Filled in by a test.",', text)
    text = re.sub(r'paper="",.*', 'paper="Nobody, Nothing, 2026",', text)
    file.write_text(re.sub(*STEP[kind], text))


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_method_runs_once_its_three_lines_are_filled_in(house, kind):
    made = python(house, "-m", "engine", "new", kind, NAMES[kind], "--json")
    assert made.returncode == 0, made.stderr
    files = json.loads(made.stdout.splitlines()[-1])
    fill_in(Path(files["method"]), kind)
    ran = python(
        house, "-m", "engine", "run", "--model", "vgg-fashion" if kind == "quantization"
        else "resnet20-fashion", *OTHER[kind], "--preset", "quick", "--images", "4",
        "--set", f"{kind}.steps=2", "--data", str(few_images(house / "few")), "--json",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout.splitlines()[-1])[kind] == NAMES[kind]
    contract = f"tests/contracts/test_every_{kind}_method.py"
    checked = python(
        house, "-m", "pytest", "-q", "-p", "no:cacheprovider", files["test"], contract, "-k", NAMES[kind]
        + " or " + Path(files["test"]).stem,
    )  # fmt: skip
    assert checked.returncode == 1
    assert "state the property" in checked.stdout
    assert re.search(r"\b1 failed, \d\d+ passed", checked.stdout), checked.stdout[-3000:]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_clean(house, kind):
    method, test = new_method(kind, NAMES[kind], house, title='My "own" idea')
    ruff = Path(sys.executable).with_name("ruff")
    for arguments in (("format", "--check"), ("check",)):
        checked = subprocess.run(
            [ruff, *arguments, method, test], cwd=house, capture_output=True, text=True
        )
        assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("pruning", "x", "choose one of synthesis, quantization"),
        ("synthesis", "Own Path", "lower-case letters"),
        ("synthesis", "../evil", "lower-case letters"),
        ("synthesis", "x" * 41, "up to 40"),
        ("quantization", "lambda", "a word of Python"),
        ("quantization", "nearest", "is there already"),
    ],
)
def test_names_that_cannot_be_are_refused(kind, name, words, tmp_path):
    taken = tmp_path / "engine" / "quantization" / "methods" / "nearest.py"
    taken.parent.mkdir(parents=True)
    taken.write_text("as it was")
    with pytest.raises(UserError, match=words):
        new_method(kind, name, tmp_path)
    assert taken.read_text() == "as it was"
