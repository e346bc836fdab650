"""What scripts depend on: the keys of the command line's JSON, and that it is one object on the last line."""

import json

import pytest

from engine.__main__ import main
from engine.models.card import catalog_entry
from engine.models.cards.sources import discover_cards
from engine.quantization import discover_methods as quantizers
from engine.run import catalog as catalog_module
from engine.run.catalog import _method_entry, named
from engine.run.folders.folder import RunFolder
from engine.run.workers import launch
from engine.synthesis import discover_methods as synthesisers
from tests.run.toy_runs import RECIPE, begun, only_the_toy, work

MODEL = {
    "name": str, "title": str, "dataset": str, "parameters": int, "batchnorm_layers": int,
    "image_shape": list, "available": bool, "reason": str,
}  # fmt: skip
METHOD = {"name": str, "title": str, "paper": str, "needs": list}
LAYER = ("path", "weight_bits", "activation_bits", "sqnr_local_db", "sqnr_accumulated_db")
RESULT = (
    "run", "folder", "model", "synthesis", "quantization", "weight_bits", "activation_bits", "seed",
    "fp32_top1", "quantized_top1", "agreement", "test_images", "bn_gap", "layers", "size_bytes", "seconds",
)  # fmt: skip
WITHIN = {
    "bn_gap": {"first", "last"},
    "size_bytes": {"fp32", "quantized"},
    "seconds": {"synthesis", "quantization", "evaluation"},
}
RUN = {
    "run", "state", "model", "synthesis", "quantization", "weight_bits", "activation_bits", "images", "seed",
    "preset", "fp32_top1", "quantized_top1", "folder",
}  # fmt: skip


@pytest.fixture(scope="module")
def everything():
    """A bundled network and every method, as the engine itself describes them."""
    return {
        "models": [catalog_entry(discover_cards()["resnet20-fashion"])],
        "synthesis": [_method_entry(cls) for cls in synthesisers().values()],
        "quantization": [_method_entry(cls) for cls in quantizers().values()],
        "named": named(),
    }


@pytest.fixture
def last_line(everything, monkeypatch, capsys, tmp_path):
    """A function that runs a command with --json: what its last line holds."""
    monkeypatch.setattr(catalog_module, "load", lambda runs: everything)

    def run(*words):
        assert main([*words, "--json", "--runs", str(tmp_path / "runs")]) == 0
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    return run


def assert_typed(row, kinds):
    assert {name: type(value) for name, value in row.items()} == kinds


def test_models(last_line):
    for row in last_line("models"):
        assert_typed(row, MODEL)


def test_methods(last_line):
    kinds = last_line("methods")
    assert set(kinds) == {"synthesis", "quantization"}
    for row in (row for rows in kinds.values() for row in rows):
        assert_typed(row, METHOD)
    assert {"noise", "real"} <= {row["name"] for row in kinds["synthesis"]}


@pytest.mark.parametrize("name", ["resnet20-fashion", "genie", "quantoscope", "x.py:f", "timm/x"])
def test_settings(last_line, name):
    for row in last_line("settings", name):
        assert set(row) == {"setting", "type", "quick", "standard", "paper", "range", "help"}
        assert row["setting"].partition(".")[0] in ("model", "synthesis", "quantization")


def test_settings_of_a_network_by_file_are_listed_wherever_one_looks(last_line, capsys):
    expected = {"image_shape", "mean", "std", "resize", "output", "interpolation", "calibration"}
    listed = {row["setting"] for row in last_line("settings", "x.py:f")}
    assert {f"model.{name}" for name in expected} <= listed
    (own,) = [one for one in catalog_module.named() if one["name"] == "FILE.py:FACTORY"]
    assert expected <= {knob["name"] for knob in own["settings"]}
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    told = capsys.readouterr().out
    assert [name for name in expected if f"model.{name}" not in told] == []


def test_run_and_runs(last_line, monkeypatch, tmp_path, capsys):
    only_the_toy(monkeypatch, tmp_path)
    folder = begun(tmp_path / "runs", RECIPE)
    work(folder)
    monkeypatch.setattr(launch, "start", lambda recipe, runs: folder)
    result = last_line(
        "run", "--model", "resnet20-fashion", "--synthesis", "noise", "--quantization", "nearest"
    )
    assert [key for key in RESULT if key not in result] == []
    assert [key for key, names in WITHIN.items() if not names <= result[key].keys()] == []
    assert [key for layer in result["layers"] for key in LAYER if key not in layer] == []
    assert len(capsys.readouterr().out) == 0
    (row,) = last_line("runs")
    assert set(row) == RUN
    (listed,) = (RunFolder(path.parent) for path in (tmp_path / "runs").glob("*/recipe.json"))
    assert row["run"] == listed.run_id == result["run"]
