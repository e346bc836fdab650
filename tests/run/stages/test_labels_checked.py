"""Labels are held against the outputs at every door: a run, a trial and a diagnosis say the same."""

import json
from dataclasses import replace

import pytest
import torch
from PIL import Image

from engine.__main__ import main
from engine.core.events import Noted, RunFailed, StageStarted
from engine.models.cards.sources import discover_cards
from engine.run import context
from engine.run.networks.trial import Brought, try_out
from engine.run.questions.before_a_run import examine
from engine.run.recipes.recipe import Recipe
from engine.run.stages.judging.label_check import check_labels
from tests.run.toy_runs import begun, of, only_the_toy, work

QUICK = Recipe(model="toy", synthesis="noise", quantization="nearest", images=4)


class Known(torch.nn.Module):
    """Three classes by the colour that is brightest, whatever the weights."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return 100 * x.mean((2, 3)) + 0 * self.inner(x)


@pytest.fixture
def toy(monkeypatch, tmp_path):
    only_the_toy(monkeypatch, tmp_path)
    find = context.find_card

    def card(name, settings, networks=None):
        found = find(name, settings, networks)
        return replace(found, form=lambda model: Known(model).eval())

    for module in (context, examine):
        monkeypatch.setattr(module, "find_card", card)
    return card("toy", {})


def pictures(folder, label):
    """Sixty pictures of one bright colour each, and a table that calls colour k label(k)."""
    folder.mkdir()
    lines = []
    for n in range(60):
        colour = [0, 0, 0]
        colour[n % 3] = 200
        Image.new("RGB", (8, 8), tuple(colour)).save(folder / f"{n:02d}.png")
        if (text := label(n % 3)) is not None:
            lines.append(f"{n:02d}.png,{text}")
    (folder / "labels.csv").write_text("file,label\n" + "\n".join(lines) + "\n")
    return str(folder)


def warnings(folder):
    return [note.message for note in of(folder, Noted) if "WARNING" in note.message]


@pytest.mark.parametrize(("label", "cause"), [
    (lambda k: k, ""), (lambda k: [1, 2, 0][k], "another order"), (lambda k: [0, 2, 1][k], "another order"),
])  # fmt: skip
def test_a_run_warns_before_anything_is_spent(toy, tmp_path, label, cause):
    data = pictures(tmp_path / "data", label)
    folder = begun(tmp_path / "runs", replace(QUICK, data=data))
    assert not isinstance(work(folder), RunFailed)
    said = warnings(folder)
    assert len(said) == bool(cause)
    if cause:
        assert cause in said[0]
        events = [event for _, event in folder.events()]
        first = next(k for k, event in enumerate(events) if isinstance(event, StageStarted))
        assert any(isinstance(e, Noted) and "WARNING" in e.message for e in events[:first])
    found = examine.collect(replace(QUICK, data=data), tmp_path)["findings"]
    kinds = {finding["kind"] for finding in found}
    assert bool(kinds & {"chance", "shifted-labels"}) is bool(cause)
    assert ("float-accuracy" in kinds) is not bool(cause)


def test_labels_from_one_are_refused_in_a_line_with_the_way_out(toy, tmp_path):
    data = pictures(tmp_path / "data", lambda k: k + 1)
    folder = begun(tmp_path / "runs", replace(QUICK, data=data))
    failure = work(folder)
    assert failure.mistake
    assert "labels up to 3, the network has 3 classes (0 to 2); they seem to count from 1" in (
        failure.message
    )
    assert of(folder, StageStarted) == []
    found = examine.collect(replace(QUICK, data=data), tmp_path)["findings"]
    assert next(f for f in found if f["kind"] == "labels")["message"] in failure.message


def test_what_was_not_understood_is_noted_by_a_run_and_a_diagnosis(toy, tmp_path):
    data = pictures(tmp_path / "data", lambda k: "ABC"[k] if k else None)
    folder = begun(tmp_path / "runs", replace(QUICK, data=data))
    assert work(folder)["fp32_top1"] is None
    assert any("taken without labels" in note.message for note in of(folder, Noted))
    found = examine.collect(replace(QUICK, data=data), tmp_path)["findings"]
    assert any("taken without labels" in finding["message"] for finding in found)


def test_a_method_that_learns_from_labels_says_what_keeps_them_from_being_read(toy, tmp_path):
    folder = tmp_path / "real/images"
    pictures(tmp_path / "data", lambda k: k)
    (tmp_path / "data/labels.csv").unlink()
    (tmp_path / "real").mkdir()
    (tmp_path / "data").rename(folder)
    settings = {"calibration": str(folder.parent)}
    recipe = replace(
        QUICK, synthesis="fdda", model_settings=settings, synthesis_settings={"steps": 1}
    )
    failure = work(begun(tmp_path / "runs", recipe))
    assert failure.mistake
    assert "those of real have none; the images are taken without labels" in failure.message
    assert "classes.txt" in failure.message


def test_a_network_that_gives_no_row_of_scores_is_not_held_against_labels(toy, tmp_path):
    data = pictures(tmp_path / "data", lambda k: k)
    folder = begun(tmp_path / "runs", replace(QUICK, data=data))
    made = context.make_context(replace(QUICK, data=data), folder, None, torch.device("cpu"))
    made.teacher = torch.nn.Identity()
    assert list(check_labels(made)) == []


def test_a_trial_says_what_speaks_against_the_labels(tmp_path):
    card = discover_cards()["resnet20-fashion"]
    from engine.data.images import open_idx
    from engine.models.card import ASSETS

    images = open_idx(
        ASSETS / card.test.images, ASSETS / card.test.labels, mean=(0,), std=(1 / 255,), name="x"
    )
    rows = []
    for n, picture in enumerate(images.first(60)):
        if images.labels[n] < 9:
            Image.fromarray(picture[0].byte().numpy()).save(tmp_path / f"{n}.png")
            rows.append(f"{n}.png {int(images.labels[n]) + 1}")
    (tmp_path / "labels.txt").write_text("\n".join(rows))
    said = try_out(
        Brought(
            weights=str(card.weights()), image_shape=card.image_shape, mean=card.mean, std=card.std,
            images=str(tmp_path),
        )
    )["accuracy"]  # fmt: skip
    (found,) = said["labels"]
    assert "they counted from 1" in found["message"]
    assert said["top1"] < 0.1


def test_exit_status_is_two_for_an_input_space_that_cannot_be(tmp_path, monkeypatch, capsys):
    catalog = {
        "models": [
            {"name": "m", "image_shape": [3, 8, 8], "presets": {}, "settings": _card_knobs()}
        ],
        "synthesis": [{"name": "s", "settings": []}],
        "quantization": [{"name": "q", "settings": []}],
    }
    monkeypatch.setattr("engine.run.commands.runs.load_catalog", lambda options: catalog)
    run = ["run", "--model=m", "--synthesis=s", "--quantization=q", f"--runs={tmp_path}"]
    for setting, said in (
        ("mean=nan,0,0", "model.mean is 'nan,0,0'"), ("mean=0,inf,0", "give finite numbers"),
        ("std=nan,1,1", "model.std is 'nan,1,1'"), ("std=1e-300,1,1", "model.std is 1e-300"),
        ("std=1,1,inf", "model.std is '1,1,inf'"), ("std=0,1,1", "must be above 0"),
        ("mean=123.7,116.3,103.5", "divided by 255"), ("mean=1", "3 colour channels"),
        ("resize=99999", "model.resize is 99999"),
    ):  # fmt: skip
        assert main([*run, "--set", f"model.{setting}"]) == 2
        line = capsys.readouterr().err.strip()
        assert said in line
        assert "\n" not in line
    assert list(tmp_path.iterdir()) == []


def _card_knobs():
    from engine.models.card_settings import card_knobs

    return card_knobs(mean=[0.5] * 3, std=[0.5] * 3, resize=8, low=8)


@pytest.mark.parametrize("option", ["--mean=nan", "--std=inf", "--std=1e-300", "--resize=99999"])
def test_a_trial_and_a_saved_card_refuse_the_same(tmp_path, capsys, monkeypatch, option):
    monkeypatch.setattr("engine.run.commands.networks._limit_memory", lambda: None)
    card = discover_cards()["resnet20-fashion"]
    words = ["try-network", "--weights", str(card.weights()), "--image-shape=1,28,28", option]
    assert main(words) == 2
    name, value = option.removeprefix("--").split("=")
    line = capsys.readouterr().err.strip()
    assert line.startswith((f"{name} is ", f"--{name} "))
    folder = tmp_path / "net"
    folder.mkdir()
    content = {
        "schema": 1, "architecture": "cifar-resnet", "title": "t", "image_shape": [1, 28, 28],
        "mean": [0.5], "std": [0.5], "resize": 28, "weights_sha256": "x",
    }  # fmt: skip
    content |= {name: int(value) if name == "resize" else [float(value)]}
    (folder / "card.json").write_text(json.dumps(content))
    from engine.core.errors import UserError
    from engine.models.cards.saved import read_saved

    with pytest.raises(UserError, match=rf"card\.json cannot be read: {name} is "):
        read_saved(folder)
