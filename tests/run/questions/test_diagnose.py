"""A diagnosis as a person, a script and a page get it: joined with bits and methods, kept, refused."""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from engine.__main__ import main
from engine.core.errors import UserError
from engine.models.card import catalog_entry
from engine.models.cards.sources import discover_cards
from engine.quantization import discover_methods as quantizers
from engine.run.catalog import _method_entry
from engine.run.commands.recipe import add_options, recipe_of
from engine.run.questions import cached_answer
from engine.run.questions.before_a_run import diagnose
from engine.run.questions.before_a_run.examine import collect
from engine.run.recipes.recipe import Recipe, make_recipe
from engine.synthesis import discover_methods as synthesisers

OWN = """
import torch
from torch import nn
from tests.contracts.nets import TinyResNet, ready

def healthy():
    return ready(TinyResNet())

def broken():
    model = healthy()
    model.down.conv2.weight.data[0] = float("nan")
    return model

def depthwise():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, groups=4, bias=False),
        nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
    )

class Hidden(TinyResNet):
    def forward(self, x):
        return super().forward(x) if x.sum() < 1e9 else x

def image():
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Conv2d(4, 3, 1)).eval()

def hidden():
    return ready(Hidden())
"""


@pytest.fixture(scope="module")
def catalog() -> dict[str, Any]:
    """The bundled network and every method: what the whole catalog says of them, without the zoo."""
    methods = {"synthesis": synthesisers(), "quantization": quantizers()}
    entries = {
        kind: [_method_entry(cls) for cls in found.values()] for kind, found in methods.items()
    }
    return {"models": [catalog_entry(discover_cards()["resnet20-fashion"])], **entries}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, catalog: dict[str, Any]) -> Path:
    monkeypatch.setattr("engine.run.catalog.load", lambda runs: catalog)
    monkeypatch.setenv("QUANTOSCOPE_RUNS", str(tmp_path / "runs"))
    file = tmp_path / "net.py"
    file.write_text(OWN)
    return file


def words(file: Path, factory: str, *more: str) -> list[str]:
    return ["--model", f"{file}:{factory}", "--set", "model.image_shape=3,8,8", *more]


def recipe_for(catalog: dict[str, Any], line: list[str]) -> Recipe:
    parser = argparse.ArgumentParser()
    add_options(parser, methods=False)
    return recipe_of(parser.parse_args(line), catalog, Path())


def diagnosed(catalog: dict[str, Any], line: list[str]) -> dict[str, Any]:
    recipe = recipe_for(catalog, line)
    return diagnose.joined(collect(recipe, Path()), recipe, catalog)


def kinds(answer: dict[str, Any]) -> dict[str, str]:
    return {finding["kind"]: finding["level"] for finding in answer["findings"]}


# --- what it says -------------------------------------------------------------------------------


def test_bundled_network_is_healthy_and_a_wrong_mean_and_std_is_a_problem(
    catalog: dict[str, Any],
) -> None:
    line = ["--model", "resnet20-fashion"]
    healthy = diagnosed(catalog, line)
    assert "problem" not in kinds(healthy).values()
    assert kinds(healthy)["normalisation-agrees"] == "note"
    assert healthy["facts"]["parameters"] == 272_186
    wrong = diagnosed(catalog, [*line, "--set", "model.mean=0.485", "--set", "model.std=0.229"])
    found = next(f for f in wrong["findings"] if f["kind"] == "normalisation")
    assert (found["level"], found["layer"]) == ("problem", "bn1")
    assert "256 real images, normalised with mean 0.485 and std 0.229" in found["message"]


def test_weights_of_another_network_are_no_better_than_chance(
    tmp_path: Path, catalog: dict[str, Any]
) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    card = discover_cards()["resnet20-fashion"]
    state = load_file(str(card.weights()))
    state["fc.weight"] = state["fc.weight"][torch.arange(9, -1, -1)].contiguous()  # other classes
    save_file(state, tmp_path / "other.safetensors")
    line = ["--model", "resnet20-fashion", "--weights", str(tmp_path / "other.safetensors")]
    assert kinds(diagnosed(catalog, line))["chance"] == "problem"


def test_layers_carry_the_bits_of_the_edge_rule(own: Path, catalog: dict[str, Any]) -> None:
    bits = {}
    for rule in ("brecq", "qdrop", "all"):
        line = words(own, "healthy", "--weight-bits", "3", "--edge-rule", rule)
        layers = diagnosed(catalog, line)["layers"]
        bits[rule] = [(layer["weight_bits"], layer["activation_bits"]) for layer in layers]
        assert all(layer["block"] for layer in layers)
    assert bits["brecq"][0] == (8, None)  # an image is left as it is
    assert bits["brecq"][1] == (3, 8)
    assert bits["qdrop"][1] == (3, 4)
    assert bits["brecq"][-1] == bits["qdrop"][-1] == (8, 8)
    assert set(bits["all"]) == {(3, 4)}


def test_bits_add_findings_and_other_bits_take_them_away(
    own: Path, catalog: dict[str, Any]
) -> None:
    line = words(own, "depthwise", "--edge-rule", "all")
    answer = diagnosed(catalog, line)
    assert kinds(answer)["bits-depthwise"] == kinds(answer)["bits-edges"] == "warning"
    calm = recipe_for(
        catalog, words(own, "depthwise", "--weight-bits", "8", "--activation-bits", "8")
    )
    again = {finding["kind"] for finding in diagnose.findings_for(answer, calm)}
    assert not {kind for kind in again if kind.startswith("bits-")}
    assert "batchnorm-untrained" in again


def test_hidden_data_flow_still_has_a_picture(own: Path, catalog: dict[str, Any]) -> None:
    answer = diagnosed(catalog, words(own, "hidden"))
    assert kinds(answer)["untraceable"] == "warning"
    assert "no-blocks" not in kinds(answer)  # each layer is a block of its own
    assert answer["graph"]["guessed"]
    assert [node["path"] for node in answer["graph"]["nodes"]][1:] == [
        layer["path"] for layer in answer["layers"]
    ]


def test_methods_say_why_they_cannot_work(own: Path, catalog: dict[str, Any]) -> None:
    recipe = recipe_for(catalog, words(own, "healthy"))
    answer = collect(recipe, Path())
    reasons = {m["name"]: m["reason"] for m in diagnose.methods_for(answer, recipe, catalog)}
    assert reasons["genie"] == reasons["noise"] == ""
    assert "real images" in reasons["real"]
    without = answer | {"facts": answer["facts"] | {"batchnorm_layers": 0}}
    reasons = {m["name"]: m["reason"] for m in diagnose.methods_for(without, recipe, catalog)}
    assert "BatchNorm" in reasons["genie"]
    assert reasons["noise"] == ""


# --- the command line ---------------------------------------------------------------------------


def test_command_prints_a_table_for_a_person(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diagnose", *words(own, "broken")]) == 0
    text = capsys.readouterr().out
    assert "PROBLEM: Values that are no numbers. down.conv2.weight has 54 values" in text
    assert "W8A-" in text
    assert "genie" in text


def test_command_prints_one_json_object(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diagnose", "--json", *words(own, "healthy")]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert {"facts", "layers", "graph", "blocks", "bits", "findings", "methods"} <= answer.keys()


def test_mistake_exits_with_two_and_one_line(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diagnose", "--model", "nobody"]) == 2
    assert "nobody" in capsys.readouterr().err


def test_what_the_reader_says_is_told_of_images_to_judge_and_to_calibrate_with(
    own: Path, catalog: dict[str, Any]
) -> None:
    more = []
    for name, what in (("tests", "--data"), ("trained", "model.calibration=")):
        folder = own.parent / name
        folder.mkdir()
        for at in range(2):
            dark = np.full((8, 8), 4000 + at, np.uint16)
            Image.fromarray(dark).save(folder / f"{at}.png")
        more += [what, str(folder)] if what == "--data" else ["--set", f"{what}{folder}"]
    found = diagnosed(catalog, words(own, "image", *more))["findings"]
    told = [one["message"] for one in found if one["kind"] == "image-pixels"]
    assert [word for one in told for word in ("tests", "trained") if f" in {word} " in one] == [
        "tests",
        "trained",
    ]


# --- asked once, and kept -----------------------------------------------------------------------


def test_words_for_a_recipe_make_the_same_recipe(own: Path, catalog: dict[str, Any]) -> None:
    recipe = make_recipe(
        catalog, model="resnet20-fashion", synthesis="genie", quantization="genie-m",
        preset="quick", weight_bits=3, images=17, edge_rule="all",
        model_settings={"mean": [0.5], "std": [0.25]},
        synthesis_settings={"steps": 7, "swing": False},
    )  # fmt: skip
    assert recipe_for(catalog, cached_answer.options(recipe)) == recipe


class Done:
    def __init__(self, code: int, out: str = "", err: str = "") -> None:
        self.returncode, self.stdout, self.stderr = code, out, err


def test_answer_is_asked_once_and_anew_for_other_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[str]] = []

    def run(command: list[str], **more: Any) -> Done:
        calls.append(command)
        return Done(0, json.dumps({"call": len(calls)}))

    monkeypatch.setattr("engine.run.subprocess_answer.subprocess.run", run)
    recipe = Recipe(model="m", synthesis="genie", quantization="nearest")
    assert diagnose.kept(tmp_path, recipe) is None
    assert diagnose.load(tmp_path, recipe) == diagnose.load(tmp_path, recipe) == {"call": 1}
    assert diagnose.kept(tmp_path, recipe) == {"call": 1}
    other_bits = Recipe(model="m", synthesis="noise", quantization="nearest", weight_bits=2)
    assert diagnose.load(tmp_path, other_bits) == {"call": 1}
    retrained = Recipe(
        model="m", synthesis="noise", quantization="nearest", contents={"weights": "a"}
    )
    assert diagnose.load(tmp_path, retrained) == {"call": 2}
    assert len(calls) == 2


def test_refusal_of_the_command_is_the_users_to_mend_and_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [Done(2, err="weights file x is not there; give another\n"), Done(0, "{}")]
    monkeypatch.setattr(
        "engine.run.subprocess_answer.subprocess.run", lambda *a, **k: answers.pop(0)
    )
    recipe = Recipe(model="m", synthesis="noise", quantization="nearest")
    with pytest.raises(UserError, match="weights file x is not there"):
        diagnose.load(tmp_path, recipe)
    assert diagnose.load(tmp_path, recipe) == {}
