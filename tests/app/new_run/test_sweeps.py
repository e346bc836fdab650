"""Sweeps on the page Runs: what is multiplied, what is started, what the matrix says."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.panels.sweeps.form import cost_words
from app.panels.sweeps.matrix import cell_words, dots_of, rows_of, varied, verdict
from app.panels.sweeps.page import sweep_words
from engine.core.errors import UserError
from engine.run.machine import processes
from engine.run.sweeps import process
from engine.run.sweeps.work import Cost
from engine.run.workers import detached
from tests.app.test_pages import opened, texts


def cell(**more: object) -> dict[str, object]:
    return {
        "model": "resnet20-fashion", "synthesis": "genie", "quantization": "nearest", "weight_bits": 4,
        "activation_bits": 4, "seeds": [0, 1], "planned": 2, "mean": 0.881, "low": 0.872, "high": 0.89,
        "measure": "quantized_top1", "best": False, "like_best": True, "reason": "", "runs": [],
    } | more  # fmt: skip


def test_a_cell_says_its_mean_its_band_and_whether_it_can_be_told_from_the_best() -> None:
    assert cell_words(cell()) == "88.1\u00a0% (87.2 to 89.0) · may be chance"
    assert cell_words(cell(like_best=False)).endswith("· below")
    assert cell_words(cell(best=True)).endswith("· largest")
    assert (
        cell_words(cell(planned=3, like_best=None)) == "88.1\u00a0% (87.2 to 89.0) · 2 of 3 seeds"
    )
    assert cell_words(cell(mean=None)) == "…"
    assert cell_words(cell(reason="no BatchNorm")) == "cannot work"


def test_a_row_holds_the_bits_of_the_same_network_images_and_quantizer(runs: Path) -> None:
    rows = rows_of([cell(), cell(weight_bits=2), cell(quantization="genie-m")])
    assert [set(row) - {"Network", "Images", "Quantizer"} for row in rows] == [
        {"W4A4", "W2A4"},
        {"W4A4"},
    ]


def test_the_table_leaves_out_what_all_rows_share() -> None:
    rows = rows_of([cell(), cell(quantization="genie-m")])
    assert [list(row) for row in varied(rows)] == [["Quantizer", "W4A4"]] * 2
    both = rows_of([cell(), cell(model="vgg-fashion")])
    assert [list(row) for row in varied(both)] == [["Network", "Quantizer", "W4A4"]] * 2
    assert list(varied(rows[:1])[0]) == ["Network", "Images", "Quantizer", "W4A4"]


def test_every_measured_cell_is_a_dot_on_its_band_and_what_is_awaited_has_its_row() -> None:
    cells = [cell(weight_bits=2, mean=None, low=None), cell(), cell(quantization="genie-m")]
    figure = dots_of(cells[1:], cells).figure
    *bands, dots = figure["data"]
    assert dots["x"] == [0.881, 0.881]
    assert [band["x"] for band in bands] == [[0.872, 0.89]] * 2
    rows = figure["layout"]["yaxis"]["categoryarray"]
    assert [row[:4] for row in rows] == ["W4A4", "W4A4", "W2A4"]
    assert dots["y"] == rows[:2]
    assert len(set(dots["marker"]["color"])) == 2


def test_the_verdict_counts_what_may_be_chance() -> None:
    best, alike, below = cell(best=True), cell(), cell(like_best=False)
    assert "Of 2 cells" in verdict([best, alike, below])
    assert "**1** is not distinguishable" in verdict([best, alike, below])
    assert "not chance" in verdict([best, below])
    assert verdict([best]) == "Nothing can be compared yet."


def test_the_time_of_what_is_not_known_is_not_claimed() -> None:
    assert cost_words(Cost(runs=3, known=0, seconds=0.0)).startswith("3 to compute; how long")
    assert "for 1 of them; of 2 the time" in cost_words(Cost(runs=3, known=1, seconds=100.0))


def test_the_form_counts_the_runs_and_starts_one_sweep_whose_page_the_address_names(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []

    def begin(asked: dict[str, object], folder: Path) -> Path:
        begun.append(asked)
        kept = process.folder_of(asked, folder)
        kept.mkdir(parents=True)
        (kept / process.ASKED).write_text(json.dumps(asked))
        return kept

    monkeypatch.setattr(process, "begin", begin)
    at = opened("runs", sweep="new")
    assert "**24 runs**" in texts(at)  # 2 images x 2 quantizers x 2 bits x 3 seeds
    at.slider("sweep-seeds").set_value(1).run()
    assert "**8 runs**" in texts(at)
    at.button("sweep-start").click().run()
    assert not at.exception
    assert begun[0]["seeds"] == [0]
    assert at.query_params["sweep"] == process.folder_of(begun[0], runs).name
    assert "Nothing can be compared yet." in texts(at)
    assert any("sweep-csv" in one.proto.id for one in at.get("download_button"))
    assert at.button("sweep-go-on")  # its process is not there
    assert "images: Genie and Noise" in sweep_words(begun[0])


def test_a_sweep_that_is_not_here_is_told(runs: Path) -> None:
    at = opened("runs", sweep="../../etc")
    assert at.error


def test_a_number_in_a_file_alone_is_no_process(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        born, host = processes.born(other.pid), processes.HOST
        told = {"pid": other.pid, "born": born, "host": host}
        (folder / detached.PROCESS).write_text(json.dumps(told))
        assert not process.is_at_work(folder)
        process.stop(folder)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_sweep_goes_on_by_itself_and_ends(tmp_path: Path) -> None:
    asked = {"models": ["vgg-fashion"], "synthesis": ["noise"], "quantization": ["nope"]}
    folder = process.begin(asked, tmp_path)
    assert process.begin(asked, tmp_path) == folder
    assert process.is_at_work(folder)
    assert os.getpgid(process.read_object(folder / detached.PROCESS)["pid"]) != os.getpgid(0)
    end = time.monotonic() + 120
    while process.is_at_work(folder) and time.monotonic() < end:
        time.sleep(0.2)
    assert not process.is_at_work(folder)
    assert "nope" in (folder / "log").read_text()
    assert process.kept_sweeps(tmp_path) == [folder]
    assert process.request_of(folder) == asked
    with pytest.raises(UserError, match="cannot be read"):
        process.request_of(tmp_path)
