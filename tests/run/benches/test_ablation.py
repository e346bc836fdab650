"""What the ablation keeps, and what a page reads of it; the accuracies themselves are for benchmarks."""

import json
from pathlib import Path

import pytest

from engine.core.errors import UserError
from engine.run.benches import ablation as measuring
from engine.run.benches import bench
from engine.run.benches.ablation import ablation, rungs
from engine.run.benches.ladder import CONTROL, FILE, LADDER, OWN, mean_of, percent, read, rows_of


def test_every_rung_keeps_what_those_below_it_changed():
    names = list(rungs())
    assert names == [CONTROL, *LADDER]
    assert rungs()[CONTROL] == ("nearest", {})
    climbed = [settings for method, settings in list(rungs().values())[1:] if method == "genie-m"]
    assert len(climbed) == len(LADDER)
    for rung, settings in zip(LADDER, climbed, strict=True):
        assert LADDER[rung].items() <= settings.items()
    assert climbed[-1]["rounding_weight"] == 0.1  # of the fourth rung, on the sixth


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """An ablation over made-up networks whose runs break off at the `breaks`-th; its file, and how often."""
    runs = []

    def result(network, method, settings, bits, folder, seeds):
        if len(runs) == measured.breaks:
            raise UserError("run x did not finish")
        runs.append((network["model"], seeds[0], method, settings))
        top1 = 0.2 if method == "nearest" else 0.8 + 0.01 * len(settings) + 0.001 * seeds[0]
        return [{
            "quantized_top1": top1, "fp32_top1": 0.9, "top1_band": {"fp32": [0.88, 0.92]},
            "test_images": 1000,
        }]  # fmt: skip

    def networks(data, folder):
        for name in ("one", "two"):
            yield name.title(), folder / name, {"model": name}

    def measured(breaks=None):
        measured.breaks = breaks
        out = tmp_path / FILE
        return runs, lambda: ablation(tmp_path, tmp_path, (0, 4), out, lambda line: None)

    monkeypatch.setattr(measuring, "results_of", result)
    monkeypatch.setattr(measuring, "_networks", networks)
    return measured


def test_the_file_is_the_result_and_reads_back(measured, tmp_path):
    runs, measure = measured()
    result = measure()
    assert len(runs) == 2 * 2 * len(rungs())
    assert read(tmp_path) == json.loads(json.dumps(result))
    assert [network["title"] for network in result["networks"]] == ["One", "Two"]
    assert result["networks"][1]["top1"][CONTROL] == [0.2, 0.2]
    own = result["networks"][0]["top1"][OWN]
    assert own[1] - own[0] == pytest.approx(0.004)  # each seed in its own place
    assert "--seeds 0,4" in result["command"]


def test_what_was_measured_before_it_broke_off_is_kept(measured, tmp_path):
    _, measure = measured(breaks=len(rungs()) + 2)
    with pytest.raises(UserError, match="did not finish"):
        measure()
    (kept,) = read(tmp_path)["networks"]
    assert [len([t for t in tops if t is not None]) for tops in kept["top1"].values()] == (
        [2, 2] + [1] * (len(LADDER) - 1)
    )
    table = rows_of(read(tmp_path))
    assert table[0] == ["network", "rung", "seed 0", "seed 4", "mean"]
    assert table[-1][-2] == "–"


def test_a_mean_is_of_what_was_measured():
    assert mean_of([0.9, None, 0.8]) == pytest.approx(0.85)
    assert mean_of([None]) is None
    assert percent(mean_of([0.9, 0.8])) == "85.0\N{NO-BREAK SPACE}%"


@pytest.mark.parametrize(
    "break_it",
    [
        lambda file: file["networks"][0]["top1"][OWN].pop(),
        lambda file: file["networks"][0]["top1"].update({OWN: [1.5, 0.5]}),
        lambda file: file["networks"][0].pop("band"),
        lambda file: file.update(networks=[]),
        lambda file: file.pop("versions"),
        lambda file: file.update(networks="none"),
    ],
)
def test_a_broken_file_is_none(measured, tmp_path, break_it):
    _, measure = measured()
    measure()
    file = json.loads((tmp_path / FILE).read_text())
    assert read(tmp_path)
    break_it(file)
    (tmp_path / FILE).write_text(json.dumps(file))
    assert read(tmp_path) is None


def test_without_a_file_there_is_none(tmp_path):
    assert read(tmp_path) is None


def test_it_asks_for_the_data_it_needs(capsys):
    assert bench.ABLATION in bench.names()
    from engine.__main__ import main

    assert main(["bench", "ablation"]) == 2
    assert "--data FOLDER" in capsys.readouterr().err


def test_the_shipped_file_is_whole():
    shipped = read(Path(__file__).parents[3] / "assets")
    assert shipped is not None
    assert all([*network["top1"]] == [*rungs()] for network in shipped["networks"])
