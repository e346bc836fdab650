"""Sizes that are told before a file is made: from the run's folder alone, and without torch."""

import json
import subprocess
import sys

import pytest

from app.panels.take_away.sizes import size_before
from engine.export import discover_formats, light_formats
from engine.export.base import Expected, Finished
from engine.export.kept import even_weights

SIZES = {"fp32": 40_000, "quantized": 5_000}
LAYERS = [{"path": "a", "weight_bits": 3}, {"path": "b", "weight_bits": 8}]


def told_of(run):
    return {name: kind().expected(run) for name, kind in light_formats().items()}


def kept(folder, **shapes):
    """A file of a block as a run keeps it, of which only the head is read."""
    (folder / "blocks").mkdir(exist_ok=True)
    head = json.dumps({name: {"shape": shape} for name, shape in shapes.items()}).encode()
    data = len(head).to_bytes(8, "little") + head
    (folder / "blocks" / "000.safetensors").write_bytes(data)


def even(*paths):
    parts = ("codes", "scale", "zero_point")
    return {f"{path}.weight.{part}": [8, 10] for path in paths for part in parts}


@pytest.fixture
def of(tmp_path):
    (tmp_path / "events.jsonl").write_text("")
    result = {"size_bytes": SIZES, "layers": LAYERS}
    return Finished(run="toy", folder=tmp_path, recipe={}, result=result, network=None)


def test_codes_that_go_into_the_next_larger_type_are_counted(of):
    kept(of.folder, **even("a", "b"))
    assert even_weights(of.folder, LAYERS) == {"a": 80, "b": 80}
    told = told_of(of)
    assert told["onnx"].least == told["onnx"].most == 5_000 + 80 // 8, "3 bits lie in 4"
    assert told["codes"].most == 5_000
    assert told["state-dict"].most == 40_000


@pytest.mark.parametrize("torn", [False, True])
def test_of_other_grids_both_ends_are_told(of, torn):
    kept(of.folder, **even("a"), **{"b.weight.levels": [1, 4]})
    if torn:
        (of.folder / "blocks" / "000.safetensors").write_bytes(b"\xff" * 9)
    told = told_of(of)
    for name in ("onnx", "codes"):
        assert (told[name].least, told[name].most) == (5_000, 40_000)


def test_what_is_told_is_a_sentence():
    assert size_before(None) == "How large it is shows when it is made."
    assert size_before(Expected(most=15_000_000)) == "At most 15 MB."
    about = Expected(least=152_326, most=152_326, besides="names")
    assert size_before(about) == "About 152 kB plus names."
    assert size_before(Expected(least=5_000, most=40_000)) == "5 kB to 40 kB."


def test_no_format_brings_torch_with_it():
    code = (
        "import sys; from engine.export import light_formats; light_formats(); "
        "assert not {'torch', 'onnx'} & set(sys.modules), 'the pages show them'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert light_formats() == discover_formats()
