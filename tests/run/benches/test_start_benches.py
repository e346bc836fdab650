"""What the start page ships: stops of the slider, walls of answers, what is said of the film."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from engine.core.errors import UserError
from engine.models.card import ASSETS
from engine.models.cards.sources import discover_cards
from engine.run.benches import bench
from engine.run.benches.start import bits_slider, film_answers
from engine.run.benches.start.shipped import (
    BITS,
    FILM,
    ROUNDINGS,
    SLIDER,
    WALL_COLUMNS,
    read,
    rows_of,
)
from engine.run.folders.folder import list_runs
from tests.run.toy_runs import RECIPE, begun, work

CLASSES, EACH = 3, 30
LAYER = {"weight_bits": 2, "sqnr_local_db": 9.0}


@pytest.fixture
def judged(toy, tmp_path, monkeypatch):
    """A finished run of the tiny network, judged on ninety images, in place of every stop's."""
    generator = np.random.default_rng(0)
    for label in range(CLASSES):
        folder = tmp_path / "data" / str(label)
        folder.mkdir(parents=True)
        for k in range(EACH):
            colours = generator.integers(
                0, 256, (2, 2, 3), dtype=np.uint8
            )  # flat areas: noise is all one class
            pixels = colours.repeat(4, 0).repeat(4, 1)
            Image.fromarray(pixels).save(folder / f"{k}.png")
    few = replace(RECIPE, data=str(tmp_path / "data"), weight_bits=2, activation_bits=2)
    folder = begun(tmp_path / "runs", few)
    result = work(folder)
    assert result["agreement"] < 1, "student and teacher are to be told apart"
    monkeypatch.setattr(bits_slider, "_finished", lambda *asked: (folder, result))
    return result


def test_a_wall_of_all_test_images_has_the_accuracies_of_the_run(judged, tmp_path):
    told = []
    out = tmp_path / "slider.json"
    found = bits_slider.bits_slider(tmp_path, out, told.append, ["toy"])
    assert json.loads(out.read_text()) == json.loads(json.dumps(found))
    (network,) = found["networks"]
    labels = np.array(network["labels"])
    assert len(labels) == CLASSES * EACH == found["wall"]["count"]
    assert (np.array(network["teacher"]) == labels).mean() == judged["fp32_top1"]
    for rounding in ROUNDINGS:
        stops = network["roundings"][rounding]
        assert len(stops) == len(BITS)
        for stop in stops:
            answers = np.array(stop["answers"])
            assert (answers == labels).mean() == judged["quantized_top1"] == stop["top1"]
            assert (answers == np.array(network["teacher"])).mean() == judged["agreement"]
    assert len(told) == len(BITS) * len(ROUNDINGS)
    with Image.open(out.with_suffix(".webp")) as picture:
        assert picture.size == (8 * WALL_COLUMNS, 8 * 4)  # ninety tiles in rows of 25


def test_the_weakest_layer_is_the_noisiest_of_those_at_the_fewest_bits():
    layers = [
        LAYER | {"path": "first", "weight_bits": 8, "sqnr_local_db": 3.0},
        LAYER | {"path": "middle", "sqnr_local_db": 7.0},
        LAYER | {"path": "other"},
    ]
    result = {
        "layers": layers, "weight_bits": 2, "quantized_top1": 0.5, "agreement": 0.5,
        "top1_band": {"quantized": [0.4, 0.6]}, "top1_drop": None, "size_bytes": {"quantized": 7},
    }  # fmt: skip
    found = bits_slider.stop(result, [1, 2])
    assert found["weakest"] == {"path": "middle", "sqnr_db": 7.0}
    assert (found["bits"], found["bytes"], found["answers"]) == (2, 7, [1, 2])


def test_networks_without_test_images_have_no_wall(toy, tmp_path, monkeypatch):
    folder = begun(tmp_path / "runs")
    monkeypatch.setattr(bits_slider, "_finished", lambda *asked: (folder, {}))
    with pytest.raises(UserError, match="has no labelled test images"):
        bits_slider.bits_slider(tmp_path, tmp_path / "x.json", print, ["toy"])


def test_what_is_shipped_of_the_film_is_what_the_teacher_says_of_its_tiles():
    found = read(ASSETS / "start", FILM)
    assert found is not None
    said, picture = found
    (run,) = list_runs(ASSETS / "recorded")
    assert said["run"] == run.run_id
    shown = sorted(file.name for file in run.snapshots.glob("images-*.webp"))
    assert [frame["file"] for frame in said["frames"]] == shown
    card = discover_cards()[run.recipe.model]
    teacher = card.load()
    assert said["classes"] == list(card.classes)
    for frame in (said["frames"][0], said["frames"][-1]):
        with Image.open(run.snapshot(frame["file"])) as sheet:
            pixels = np.asarray(sheet.convert("L"), np.float32) / 255
        tiles = [
            pixels[y : y + 28, x : x + 28] for y in range(0, 112, 28) for x in range(0, 224, 28)
        ]
        x = (torch.tensor(np.stack(tiles))[:, None] - card.mean[0]) / card.std[0]
        with torch.no_grad():
            shares = teacher(x).softmax(1)
        assert frame["answers"] == shares.argmax(1).tolist()
        assert np.abs(100 * shares.amax(1).numpy() - frame["confidence"]).max() <= 0.51
    assert said["real"]["labels"] == list(range(10))
    assert len(picture) < 20_000


def test_the_recorded_images_are_what_the_network_takes_for_clothing():
    """What the README promises: noise at first, and in the end classes of which the network is sure."""
    said, _ = read(ASSETS / "start", FILM)
    last = said["frames"][-1]
    assert np.mean(last["confidence"]) > 85
    assert len(set(last["answers"])) >= 8  # of the ten classes
    first = said["frames"][0]
    assert len(set(first["answers"])) <= 2  # of noise it says one and the same thing


def test_the_recorded_run_is_small():
    (run,) = list_runs(ASSETS / "recorded")
    files = [file for file in run.path.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 3_000_000


def test_what_is_shipped_of_the_slider_is_whole_and_agrees_with_itself():
    found = read(ASSETS / "start", SLIDER)
    assert found is not None
    result, picture = found
    assert len(picture) < 150_000
    for network in result["networks"]:
        labels, teacher = np.array(network["labels"]), np.array(network["teacher"])
        assert len(labels) == len(teacher) == result["wall"]["count"]
        for stops in network["roundings"].values():
            assert [stop["bits"] for stop in stops] == list(BITS)
            sizes = [stop["bytes"] for stop in stops]
            assert sizes == sorted(sizes), "more bits are more bytes"
            for stop in stops:
                low, high = stop["band"]
                assert low <= stop["top1"] <= high
                lost = network["float_top1"] - stop["top1"]
                assert lost == pytest.approx(stop["drop"]["share"], abs=1e-9)
                # 200 of 10,000 images: within five standard errors of all
                share = (np.array(stop["answers"]) == teacher).mean()
                assert abs(share - stop["agreement"]) < 5 * (0.25 / len(labels)) ** 0.5
    rows = rows_of(result)
    assert len(rows) == 1 + len(ROUNDINGS) * len(result["networks"])


def test_the_benches_are_listed_and_what_is_no_measurement_is_not_read(tmp_path):
    assert {bench.BITS_SLIDER, bench.FILM_ANSWERS} <= set(bench.names())
    assert read(tmp_path, SLIDER) is None
    (tmp_path / SLIDER).write_text("[1]")
    (tmp_path / SLIDER).with_suffix(".webp").write_bytes(b"x")
    assert read(tmp_path, SLIDER) is None
    (tmp_path / SLIDER).write_text("{")
    assert read(tmp_path, SLIDER) is None


def test_tiles_that_are_not_the_networks_images_are_refused(judged, tmp_path):
    (run,) = list_runs(tmp_path / "runs")
    context = bits_slider._context(run)
    layout = {"tile": 7, "columns": 1, "count": 1}
    with pytest.raises(UserError, match="tiles of 7 pixels, and the network reads 8"):
        film_answers._tiles(tmp_path / "x.webp", layout, context)


def test_a_film_is_cut_into_the_images_that_it_was_made_of(judged, tmp_path):
    (run,) = list_runs(tmp_path / "runs")
    context = bits_slider._context(run)
    pixels = np.random.default_rng(1).integers(0, 256, (11, 3, 8, 8), dtype=np.uint8)
    sheet = np.zeros((16, 64, 3), np.uint8)  # eight in a row, three in the next
    for k, image in enumerate(pixels):
        y, x = divmod(k, 8)
        sheet[8 * y : 8 * y + 8, 8 * x : 8 * x + 8] = image.transpose(1, 2, 0)
    Image.fromarray(sheet).save(tmp_path / "film.webp", lossless=True)
    layout = {"tile": 8, "columns": 8, "count": 11}
    tiles = film_answers._tiles(tmp_path / "film.webp", layout, context)
    wanted = (pixels / 255 - 0.5) / np.array(context.normalisation[1])[:, None, None]
    assert np.allclose(tiles.numpy(), wanted, atol=1e-5)
