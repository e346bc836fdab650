"""The choice of rates: what it may look at, and what it keeps; the runs themselves are for benchmarks."""

import json

import numpy as np
import pytest
from PIL import Image

from engine.__main__ import main
from engine.core.paired import packed
from engine.run.benches import bench
from engine.run.benches import rates as choosing
from engine.run.benches.ladder import LADDER, OWN
from engine.run.benches.parity import image_folder
from engine.run.benches.rates import (
    CHOICES,
    CHOSEN_ON,
    REPORTED_ON,
    best,
    judged,
    rates,
    rows_of,
    split,
)


def test_a_run_is_judged_on_both_kinds_of_images_apart():
    right = [True, False, True, True, False, False]
    assert split(packed(right), 6, 4) == (3 / 4, 0.0)
    assert split(packed([False] * 5 + [True]), 6, 4) == (0.0, 1 / 2)
    results = [
        {"right": packed(right), "test_images": 6},
        {"right": packed([True] * 6), "test_images": 6},
    ]
    assert judged(results, 4) == {"chosen_on": [0.75, 1.0], "reported_on": [0.0, 1.0]}


def test_the_best_is_the_best_on_the_images_to_choose_on_and_ties_keep_what_was():
    one = {"chosen_on": [0.8, 0.8], "reported_on": [0.1, 0.1]}
    other = {"chosen_on": [0.9, 0.7], "reported_on": [0.9, 0.9]}
    better = {"chosen_on": [0.9, 0.8], "reported_on": [0.0, 0.0]}
    assert best([one, other]) == 0
    assert best([one, other, better]) == 2


def test_the_choices_lead_to_the_recipe_and_the_first_candidate_changes_nothing():
    assert all(candidates[0] == {} for candidates in CHOICES.values())
    offered = [change for candidates in CHOICES.values() for change in candidates]
    assert all(change in offered for change in list(LADDER.values())[1:])
    assert LADDER[OWN] == {"batchnorm": "delta"}
    assert not {*CHOSEN_ON} & {*REPORTED_ON}


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    labels = {}
    for k, name in enumerate([*CHOSEN_ON, *REPORTED_ON]):
        Image.fromarray(np.full((2, 32 * 32, 3), 10 * k, np.uint8)).save(folder / name)
        labels[name] = [k, k]
    (folder / "labels.json").write_text(json.dumps(labels))
    return folder


def test_images_to_choose_on_come_first_in_every_order(data, tmp_path):
    made = image_folder(data, {"choose-": CHOSEN_ON, "report-": REPORTED_ON}, tmp_path / "images")
    rows = (made / "labels.csv").read_text().split()[1:]
    assert [row.split(",")[1] for row in rows] == ["0", "0", "1", "1", "2", "2"]
    assert [row.split(",")[0] for row in rows] == sorted(file.name for file in made.glob("*.png"))
    with Image.open(made / "report-0001.png") as image:
        assert np.asarray(image).max() == 20


def test_it_goes_on_from_what_it_chose_and_writes_it_down(data, tmp_path, monkeypatch):
    tried = []

    def results(network, method, settings, bits, folder, seeds):
        tried.append(settings)
        # Training images like the faster roundings and nothing else; test images like what is released.
        good = settings["lr_rounding"] == 2e-2
        right = [good] * 4 + [not good] * 2
        return [{"right": packed(right), "test_images": 6} for _ in seeds]

    monkeypatch.setattr(choosing, "results_of", results)
    monkeypatch.setattr(choosing, "cifar_network", lambda data, scratch, depth: {"model": "x"})
    out = tmp_path / "rates.json"
    found = rates(data, tmp_path / "runs", (0, 1), out, lambda line: None)
    assert found["settings"]["lr_rounding"] == 2e-2
    assert not {"batchnorm", "mirror"} & found["settings"].keys()
    assert [choice["kept"] for choice in found["choices"]] == [0, 2, 0, 0, 0]
    assert tried[-1]["lr_rounding"] == 2e-2
    assert json.loads(out.read_text()) == json.loads(json.dumps(found))
    assert rows_of(found)[0][-1] == "kept"
    assert sum(row[-1] == "yes" for row in rows_of(found)) == len(CHOICES)


def test_it_asks_for_the_data_it_needs(capsys):
    assert bench.RATES in bench.names()
    assert main(["bench", "rates"]) == 2
    assert "--data FOLDER" in capsys.readouterr().err
